"""A model of random weights to restore pictures with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from superres.restoration.restorer import Restorer, load
from support import left_alone
from tiny_trial import random_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a model folder: twice the size, blur and jpeg, 100 timesteps."""
    yield from left_alone(random_model(tmp_path_factory.mktemp("models")))


@pytest.fixture
def restorer(model: Path) -> Restorer:
    """Return the model with windows of 48 pixels, three at once."""
    return load(model, device="cpu", window=48, batch=3)
