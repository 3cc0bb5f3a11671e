"""evaluate: measure the restored test tiles and the baselines against the originals.

On several GPUs the script gives way to a launcher, which starts it once for each.
"""

from __future__ import annotations

from superres.core.launch import first_process, launch
from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.evaluation.contenders import Folders, measure
from superres.metrics.config import EvaluateParams


def main() -> dict[str, int]:
    """Read `data/{tiles,pairs,samples,reference}`, write figures and tables into `reports`."""
    launch(__file__)
    params = load_section("evaluate", EvaluateParams)
    return {"tiles": measure(params, Folders())}


if __name__ == "__main__":
    run_stage("evaluate", main, timed=first_process())
