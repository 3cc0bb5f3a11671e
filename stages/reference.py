"""reference: describe the original test tiles once, for every later measurement.

On several GPUs the script gives way to a launcher, which starts it once for each.
"""

from __future__ import annotations

from superres.core.launch import first_process, launch
from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.evaluation.reference import write_reference
from superres.metrics.config import FeaturesParams


def main() -> dict[str, int]:
    """Read `data/tiles`, write `data/reference`."""
    launch(__file__)
    params = load_section("evaluate.features", FeaturesParams)
    return {"tiles": write_reference(params, "data/tiles", "data/reference")}


if __name__ == "__main__":
    run_stage("reference", main, timed=first_process())
