"""sample: best model, or its student, + test pairs -> restored test tiles.

On several GPUs the script gives way to a launcher, which starts it once for each.
"""

from __future__ import annotations

from typing import Any

from superres.core.launch import first_process, launch
from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.sampling.config import SamplerParams
from superres.sampling.test_set import restore_tiles


def main() -> dict[str, Any]:
    """Run the stage."""
    launch(__file__)
    return restore_tiles(
        load_section("sampler", SamplerParams),
        model_folder="models/best",
        student_folder="models/student",
        tiles="data/tiles",
        pairs="data/pairs",
        out="data/samples",
    )


if __name__ == "__main__":
    run_stage("sample", main, timed=first_process())
