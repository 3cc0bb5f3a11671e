"""Cut the photographs under `data.source` into tiles, split by photograph."""

from __future__ import annotations

from typing import Any

from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.data.config import DataParams
from superres.data.tiling import tile_photographs


def main() -> dict[str, Any]:
    """Write `data/tiles/` and `reports/photographs.csv`."""
    params = load_section("data", DataParams)
    return tile_photographs(params, "data/tiles", "reports/photographs.csv")


if __name__ == "__main__":
    run_stage("tile", main)
