"""A small network of random weights with tiles to try it on: what tests of `explore` share."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from superres.config.check import Params, check_params
from superres.core.distributed import Processes
from superres.core.params import parse_section
from superres.data.tiling import tile_photographs
from superres.degradation.pairs import degrade_tiles
from superres.explore.config import ExploreParams
from superres.explore.explore import explore
from superres.explore.trial import Trial
from superres.model.folder import ModelSpec, SuperResolver, save_model
from support import tiny_params, write_photographs, write_yaml


def build(folder: Path) -> Path:
    """Write tiles, pairs and a model; test photographs give 2 x 3 tiles each."""
    write_photographs(folder / "photographs", count=8)
    params = tiny_params()
    params["data"].update(source=str(folder / "photographs"))
    params["data"]["split"].update(val=0.2, test=0.4)
    params["diffusion"].update(residual_scale=1.0)  # what the network says is seen
    checked = check_params(write_yaml(folder / "params.yaml", params))
    tile_photographs(checked.data, folder / "tiles", folder / "photographs.csv")
    degrade_tiles(checked.degrade, folder / "tiles", folder / "pairs")
    save_random_model(folder / "model", checked)
    return folder


def random_model(folder: Path) -> Path:
    """Write and return a model folder: twice the size, blur and jpeg, 100 timesteps."""
    params = tiny_params()
    params["diffusion"].update(residual_scale=1.0)  # what the network says is seen
    save_random_model(folder / "best", check_params(write_yaml(folder / "params.yaml", params)))
    return folder / "best"


def save_random_model(folder: Path, checked: Params) -> None:
    """Write a model folder of random weights."""
    spec = ModelSpec(
        format="superres-1",
        model=checked.model,
        diffusion=checked.diffusion,
        scale=2,
        entropies=["blur", "jpeg"],
        degradation={"scale": 2},
        provenance={},
    )
    torch.manual_seed(0)
    network = SuperResolver(spec).network
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    save_model(folder, spec, network.state_dict())


def params(**changes: Any) -> ExploreParams:
    return parse_section("explore", ExploreParams, {**tiny_params()["explore"], **changes})


def trial(run: Path, **changes: Any) -> Trial:
    alone = Processes(0, 1, torch.device("cpu"))
    return Trial(params(**changes), run / "model", run / "tiles", run / "pairs", alone)


def write(run: Path, out: Path, **changes: Any) -> dict[str, Any]:
    return explore(params(**changes), run / "model", run / "tiles", run / "pairs", out)


def ignore(_: int) -> None:
    """Stand in for a progress bar."""


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
