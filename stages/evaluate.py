"""evaluate: measure the restored test tiles and the baselines against the originals."""

from __future__ import annotations

from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.evaluation.contenders import Folders, measure
from superres.metrics.config import EvaluateParams


def main() -> dict[str, int]:
    """Read `data/{tiles,pairs,samples,reference}`, write figures and tables into `reports`."""
    params = load_section("evaluate", EvaluateParams)
    return {"tiles": measure(params, Folders())}


if __name__ == "__main__":
    run_stage("evaluate", main)
