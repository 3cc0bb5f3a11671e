"""Make the low-resolution inputs of the tiles, with recorded corruption entropies."""

from __future__ import annotations

from typing import Any

from superres.data.pairs import degrade_tiles
from superres.params.degrade import DegradeParams
from superres.params.section import load_section
from superres.stage import run_stage


def main() -> dict[str, Any]:
    """Write `data/pairs/`."""
    params = load_section("degrade", DegradeParams)
    return degrade_tiles(params, "data/tiles", "data/pairs")


if __name__ == "__main__":
    run_stage("degrade", main)
