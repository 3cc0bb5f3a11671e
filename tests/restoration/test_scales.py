"""Restoring at every scale, with every network, in windows as in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from superres.config.check import check_params
from superres.model.folder import ModelSpec, SuperResolver, save_model
from superres.restoration.restorer import load
from support import tiny_mean_denoiser_params, tiny_params, write_yaml

PARAMS = {"unet": tiny_params, "mean_denoiser": tiny_mean_denoiser_params}


@pytest.mark.parametrize("entropies", [[], ["blur"]])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("kind", PARAMS)
def test_pictures_grow_by_the_scale(
    tmp_path: Path, kind: str, scale: int, entropies: list[str]
) -> None:
    params = PARAMS[kind]()
    params["data"].update(tile_size=48)
    params["degrade"].update(scale=scale)
    checked = check_params(write_yaml(tmp_path / "params.yaml", params))
    spec = ModelSpec(
        format="superres-1",
        model=checked.model,
        diffusion=checked.diffusion,
        scale=scale,
        entropies=entropies,
        degradation={"scale": scale},
        provenance={},
    )
    torch.manual_seed(0)
    network = SuperResolver(spec).network
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    save_model(tmp_path / "model", spec, network.state_dict())
    low = np.random.default_rng(0).integers(0, 256, (23, 19, 3), dtype=np.uint8)
    whole = load(tmp_path / "model", device="cpu")
    assert whole.tiling.window % scale == 0 and 504 < whole.tiling.window <= 512
    restored = whole.restore(low, estimate=True)
    assert restored.shape == (23 * scale, 19 * scale, 3)
    windows = load(tmp_path / "model", device="cpu", window=16 * scale)
    difference = np.abs(restored.astype(int) - windows.restore(low, estimate=True))
    assert difference.mean() < 4
    sample = whole.restore(low, steps=2)
    assert sample.shape == restored.shape
