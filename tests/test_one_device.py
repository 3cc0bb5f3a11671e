"""No wait for the device and no tensors of two, where a GPU computes: proved without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from inception_weights import random_weights
from one_device import META, OneDevice, fetching, without_kernels
from superres.config.check import check_params
from superres.core import tensors
from superres.core.distributed import Processes
from superres.metrics.features import BATCH, features_of
from superres.metrics.inception import Inception
from superres.model.folder import ModelSpec, SuperResolver
from superres.restoration.job import Tiling
from superres.restoration.picture import from_array
from superres.restoration.restorer import Restorer
from superres.restoration.windows import Grid
from superres.sampling.batch import Batch, Sampling
from superres.sampling.samplers import SAMPLERS, Sampler
from superres.training.trainer import Trainer
from support import tiny_mean_denoiser_params, tiny_params, write_yaml
from tiny_trial import build

KINDS: dict[str, tuple[Callable[[], dict[str, Any]], dict[str, Any]]] = {
    "unet": (tiny_params, {}),
    "classes": (tiny_params, {"classes": 10, "label": 3}),
    "two parts": (tiny_mean_denoiser_params, {}),
}
GUIDED = [(kind, guidance) for kind in KINDS for guidance in (0.0, 0.5)]
GUIDED.remove(("two parts", 0.5))  # takes no dropped conditions
LOSS = tiny_params()["train"]["loss"]
TRAININGS: dict[str, tuple[Callable[[], dict[str, Any]], dict[str, Any]]] = {
    "plain": (tiny_params, {}),
    "two parts": (tiny_mean_denoiser_params, {}),
    "two parts, Muon": (tiny_mean_denoiser_params, {"muon": {"rate": 2.0, "momentum": 0.95}}),
    "passes, drops, checkpointing, bf16": (
        tiny_params,
        {
            "drop": {"low": 0.5, "entropies": 0.5},
            "micro_batches": 2,
            "activation_checkpointing": True,
            "precision": "bf16",
        },
    ),
    "importance": (
        tiny_params,
        {"loss": {**LOSS, "timesteps": "loss_second_moment", "high_noise": 0.0, "kind": "kl"}},
    ),
}
WAITS: dict[str, Callable[[Tensor], object]] = {
    "item": lambda x: x.mean().item(),
    "cpu": lambda x: x.cpu(),
    "numpy": lambda x: x.numpy(),
    "boolean index": lambda x: x[x > 0],
    "condition": lambda x: bool(x.max() > 0),
    "two devices": lambda x: x + torch.ones(x.shape),
}


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    without_kernels(monkeypatch)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("trial"))


def model(tmp_path: Path, kind: str) -> SuperResolver:
    params, more = KINDS[kind]
    checked = check_params(write_yaml(tmp_path / "params.yaml", params()))
    spec = ModelSpec(
        format="superres-1",
        model=checked.model,
        diffusion=checked.diffusion,
        scale=2,
        entropies=["blur", "jpeg"],
        # Saturation makes white of other levels, so that no picture is looked through for white:
        # that waits for the device, once per picture.
        degradation={"scale": 2, "corruptions": [{"name": "jpeg", "kind": "saturation"}]},
        dropped=["low", "entropies"],
        provenance={},
        **more,
    )
    made = SuperResolver(spec).to(META)
    made.network.eval().requires_grad_(False)
    return made


def batch(made: SuperResolver) -> Batch:
    low, entropy = np.zeros((2, 16, 16, 3), np.uint8), np.zeros((2, 2), np.float32)
    return Batch(made, low, entropy, ["a", "b"], 0)


def way(sampler: str, guidance: float = 0.0, steps: int = 3) -> Sampling:
    return Sampling(sampler, steps, "linear", 0.5, 0.9, guidance, ramp=True)


@pytest.mark.parametrize(("kind", "guidance"), GUIDED)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_step_of_a_sampler_waits_for_the_device(
    tmp_path: Path, sampler: str, kind: str, guidance: float
) -> None:
    """What is copied does not depend on the number of steps."""
    given = batch(model(tmp_path, kind))
    copied = []
    for steps in (1, 3):
        with OneDevice() as device:
            assert given.sample(way(sampler, guidance, steps)).shape == (2, 3, 32, 32)
        copied.append(device.copied)
    assert copied[0] == copied[1]


@pytest.mark.parametrize("kind", KINDS)
def test_no_estimate_waits_for_the_device(tmp_path: Path, kind: str) -> None:
    given = batch(model(tmp_path, kind))
    with OneDevice() as device:
        assert given.estimate().device == META
    assert device.copied <= 1  # the seeds of the noise


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampler", [None, "ddpm"])
def test_no_float64_goes_to_a_device_that_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str | None, kind: str
) -> None:
    monkeypatch.setattr(tensors, "WITHOUT_DOUBLES", {"meta"})
    with OneDevice(doubles=False):
        given = batch(model(tmp_path, kind))
        if sampler is None:
            given.estimate()
        else:
            given.sample(way(sampler))


@pytest.mark.parametrize("name", WAITS)
def test_a_sampler_that_waits_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = SAMPLERS["ddim"]

    def waiting(trajectory: Any, x: Tensor) -> Any:
        WAITS[name](x)
        return (yield from real.function(trajectory, x))

    monkeypatch.setitem(SAMPLERS, "waiting", Sampler(waiting, noise="eta", held=0))
    given = batch(model(tmp_path, "unet"))
    with pytest.raises((RuntimeError, NotImplementedError, TypeError, AssertionError)), OneDevice():
        given.sample(way("waiting"))


@pytest.mark.parametrize("name", TRAININGS)
def test_no_training_step_waits_for_the_device(trial: Path, tmp_path: Path, name: str) -> None:
    params, changes = TRAININGS[name]
    values = params()
    values["train"].update(changes)
    checked = check_params(write_yaml(tmp_path / "params.yaml", values))
    trainer = Trainer(
        checked.model,
        checked.diffusion,
        checked.train,
        trial / "tiles",
        trial / "pairs",
        Processes(0, 1, META),
    )
    for _ in range(2):
        with OneDevice() as device:
            assert trainer.advance() is None
        assert device.copied <= trainer.passes  # the seeds of the noise, a few bytes
    assert trainer.step == 2
    assert {weight.device for weight in trainer.weights.values()} == {META}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampler", [None, "ddpm"])
def test_a_large_picture_is_fetched_once_per_band(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    sampler: str | None,
) -> None:
    monkeypatch.setattr(tensors, "WITHOUT_DOUBLES", {"meta"})
    fetched = fetching(monkeypatch)
    pixels = from_array(np.zeros((90, 70, 3), np.uint8))
    copied = []
    for steps in (1, 3):
        restorer = Restorer(model(tmp_path, kind), Tiling(96, 2), tmp_path)
        with OneDevice(doubles=False) as device:
            how = None if sampler is None else way(sampler, steps=steps)
            assert restorer.run(pixels, {"blur": 0.0, "jpeg": 1.0}, how).size == (180, 140)
        copied.append(device.copied)
    assert copied[0] == copied[1]
    assert sum(rows for rows, _, _ in fetched) == 2 * 180


def test_weights_of_windows_are_copied_once() -> None:
    grid = Grid((200, 300), 64, 2)
    with OneDevice() as device:
        for window in grid.windows:
            grid.weights(window, META)
        first = device.copied
        for window in grid.windows:
            grid.weights(window, META)
    assert first and device.copied == first


def test_features_are_fetched_once_per_block(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Inception()
    network.load_state_dict(random_weights())
    network.to(META).eval()
    fetched = fetching(monkeypatch)
    pictures = [np.zeros((40, 50, 3), np.uint8)] * (BATCH + 1)
    with OneDevice() as device:
        blocks = list(features_of(network, pictures))
    assert [block.shape for block in blocks] == [(BATCH, 2048), (1, 2048)] == fetched
    assert device.copied == len(pictures)
