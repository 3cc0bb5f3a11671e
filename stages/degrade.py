"""Make the low-resolution inputs of the tiles, with recorded corruption entropies."""

from __future__ import annotations

from typing import Any

from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.degradation.config import DegradeParams
from superres.degradation.pairs import degrade_tiles


def main() -> dict[str, Any]:
    """Write `data/pairs/`."""
    params = load_section("degrade", DegradeParams)
    return degrade_tiles(params, "data/tiles", "data/pairs")


if __name__ == "__main__":
    run_stage("degrade", main)
