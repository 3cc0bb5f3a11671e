"""sample: best model + test pairs -> restored test tiles."""

from __future__ import annotations

from typing import Any

from superres.params.sampler import SamplerParams
from superres.params.section import load_section
from superres.restoration.tiles import restore_tiles
from superres.stage import run_stage


def main() -> dict[str, Any]:
    """Run the stage."""
    return restore_tiles(
        load_section("sampler", SamplerParams),
        model_folder="models/best",
        tiles="data/tiles",
        pairs="data/pairs",
        out="data/samples",
    )


if __name__ == "__main__":
    run_stage("sample", main)
