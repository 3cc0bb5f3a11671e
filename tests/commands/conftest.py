"""A model of random weights for the commands that need one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny_trial import random_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder: twice the size, blur and jpeg, 100 timesteps."""
    return random_model(tmp_path_factory.mktemp("models"))
