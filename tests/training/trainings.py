"""Small trainings for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from superres.config.check import Params, check_params
from superres.core.distributed import Processes
from superres.training.loop import train
from superres.training.trainer import Trainer
from support import tiny_mean_denoiser_params, tiny_params, write_yaml

ALONE = Processes(0, 1, torch.device("cpu"))
IMPORTANCE = {"timesteps": "loss_second_moment", "high_noise": 0.0, "kind": "kl"}
"""Changes to the loss."""
MUON = {"rate": 2.0, "momentum": 0.95}


def checked(tmp_path: Path, two_parts: bool = False, **changes: Any) -> Params:
    """Return tiny params with changes to `train`, and to `model` under that name."""
    params = tiny_mean_denoiser_params() if two_parts else tiny_params()
    params["model"].update(changes.pop("model", {}))
    params["train"].update(changes)
    return check_params(write_yaml(tmp_path / "params.yaml", params))


def trainer(project: Path, tmp_path: Path, processes: Processes = ALONE, **changes: Any) -> Trainer:
    """Return a training in one process."""
    params = checked(tmp_path, **changes)
    return Trainer(
        params.model,
        params.diffusion,
        params.train,
        project / "data/tiles",
        project / "data/pairs",
        processes,
    )


def weights(made: Trainer) -> dict[str, torch.Tensor]:
    """Return copies of a training's weights."""
    return {name: weight.detach().clone() for name, weight in made.weights.items()}


def run_training(project: Path, tmp_path: Path, name: str, **changes: Any) -> Path:
    """Run a whole training and return the folder of its checkpoints."""
    params = checked(tmp_path, **changes)
    out = tmp_path / name / "models" / "train"
    train(
        params.model,
        params.diffusion,
        params.train,
        project / "data/tiles",
        project / "data/pairs",
        out,
        tmp_path / name / "train.csv",
        tmp_path / name / "previews",
    )
    return out


def workspace(project: Path, folder: Path, two_parts: bool = False, **changes: Any) -> Path:
    """Make a folder in which the train stage can run on the project's pairs."""
    params = tiny_mean_denoiser_params() if two_parts else tiny_params()
    params["train"].update(changes)
    folder.mkdir()
    write_yaml(folder / "params.yaml", params)
    (folder / "data").mkdir()
    for name in ("tiles", "pairs"):
        (folder / "data" / name).symlink_to(project / "data" / name)
    return folder


def settled(folder: Path) -> dict[str, bytes]:
    """Return all that a finished train stage left, by name, but for what tells its speed."""
    found = [*(folder / "models/train").rglob("*"), *(folder / "reports").rglob("*")]
    names = {path.relative_to(folder).as_posix(): path for path in found if path.is_file()}
    speed = ("reports/timing.json", "reports/train_speed.csv")
    return {name: path.read_bytes() for name, path in names.items() if name not in speed}
