"""train: pairs -> checkpoints, each a model folder, and the training curves.

On several GPUs the script gives way to a launcher, which starts it once for each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from superres.params.diffusion import DiffusionParams
from superres.params.model import ModelParams
from superres.params.section import load_section
from superres.params.train import TrainParams
from superres.stage import run_stage
from superres.training.launch import first_process, launch
from superres.training.loop import train


def main() -> dict[str, Any]:
    """Run the stage."""
    launch(__file__)
    return train(
        load_section("model", ModelParams),
        load_section("diffusion", DiffusionParams),
        load_section("train", TrainParams),
        tiles="data/tiles",
        pairs="data/pairs",
        out=Path("models/train"),
        log_file=Path("reports/train.csv"),
        previews=Path("reports/previews"),
    )


if __name__ == "__main__":
    run_stage("train", main, timed=first_process())
