"""train: pairs -> checkpoints, each a model folder, and the training curves.

On several GPUs the script gives way to a launcher, which starts it once for each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from superres.core.launch import first_process, launch
from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.diffusion.config import DiffusionParams
from superres.networks.config import MODEL_PARAMS
from superres.training.config import TrainParams
from superres.training.loop import train


def main() -> dict[str, Any]:
    """Run the stage."""
    launch(__file__)
    return train(
        load_section("model", MODEL_PARAMS),
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
