"""sample: best model + test pairs -> restored test tiles."""

from __future__ import annotations

from typing import Any

from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.sampling.config import SamplerParams
from superres.sampling.test_set import restore_tiles


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
