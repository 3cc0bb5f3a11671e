"""select: checkpoints + val pairs -> the best model and the scores of all.

On several GPUs the script gives way to a launcher, which starts it once for each. It is not called
`select.py`, which would shadow the standard library's module.
"""

from __future__ import annotations

from typing import Any

from superres.core.launch import first_process, launch
from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.selection.config import SelectParams
from superres.selection.select import select_model
from superres.training.config import LossParams


def main() -> dict[str, Any]:
    """Run the stage."""
    launch(__file__)
    return select_model(
        load_section("select", SelectParams),
        load_section("train.loss", LossParams),
        checkpoints="models/train",
        tiles="data/tiles",
        pairs="data/pairs",
        out="models/best",
        table="reports/selection.csv",
    )


if __name__ == "__main__":
    run_stage("select", main, timed=first_process())
