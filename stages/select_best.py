"""select: checkpoints + val pairs -> the best model and the scores of all.

The file is not called `select.py`, which would shadow the standard library's module.
"""

from __future__ import annotations

from typing import Any

from superres.params.section import load_section
from superres.params.select import SelectParams
from superres.params.train import LossParams
from superres.selection.selecting import select_model
from superres.stage import run_stage


def main() -> dict[str, Any]:
    """Run the stage."""
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
    run_stage("select", main)
