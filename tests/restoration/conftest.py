"""A model of random weights to restore pictures with."""

from __future__ import annotations

from pathlib import Path

import pytest

from superres.params.check import check_params
from superres.restoration.restorer import Restorer, load
from support import tiny_params, write_yaml
from tiny_trial import save_random_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder: twice the size, blur and jpeg, 100 timesteps."""
    folder = tmp_path_factory.mktemp("models")
    params = tiny_params()
    params["diffusion"].update(residual_scale=1.0)  # what the network says is seen
    save_random_model(folder / "best", check_params(write_yaml(folder / "params.yaml", params)))
    return folder / "best"


@pytest.fixture
def restorer(model: Path) -> Restorer:
    """Return the model with windows of 48 pixels, three at once."""
    return load(model, device="cpu", window=48, batch=3)
