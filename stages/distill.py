"""distill: best model + pairs -> a student that samples in few evaluations, where one is asked for.

Where none is (`distill.steps: 0`) nothing that takes time is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.distillation.config import DistillParams
from superres.distillation.no_student import write_no_student


def main() -> dict[str, Any]:
    """Run the stage."""
    params = load_section("distill", DistillParams)
    out, log_file = Path("models/student"), Path("reports/distill.csv")
    if not params.steps:
        write_no_student(out, log_file)
        return {}
    from superres.distillation.distill import distill  # noqa: PLC0415 - it loads torch

    return distill(
        params,
        model_folder="models/best",
        tiles="data/tiles",
        pairs="data/pairs",
        out=out,
        log_file=log_file,
    )


if __name__ == "__main__":
    run_stage("distill", main)
