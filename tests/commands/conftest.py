"""A model of random weights for the commands that need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from superres.cli import main
from superres.model.folder import SuperResolver, read_spec, save_model
from support import left_alone
from tiny_trial import random_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a model folder: twice the size, blur and jpeg, 100 timesteps."""
    yield from left_alone(random_model(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="session")
def enlarger(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same before training, which adds next to nothing: its estimates are bicubic."""
    spec = read_spec(model)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("untrained") / "best"
    save_model(folder, spec, SuperResolver(spec).network.state_dict())
    return folder


@pytest.fixture
def restore(model: Path) -> Any:
    """Return the command with the tiny model, in one evaluation."""

    def call(*words: Any, estimate: bool = True, model: Path = model) -> int:
        more = ["--estimate"] if estimate else ["--steps", "2"]
        return main(["restore", *map(str, words), "--model", str(model), "--device", "cpu", *more])

    return call
