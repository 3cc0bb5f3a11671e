from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from networks import random_network, small_params
from superres.diffusion.config import DiffusionParams
from superres.diffusion.prediction import drive, posterior_mean
from superres.model.resolver import SuperResolver
from superres.model.signal_space import SIGNALS
from superres.model.spec import ModelSpec
from superres.networks import conditional_unet


def model(**diffusion: Any) -> SuperResolver:
    settings = {
        "timesteps": 50,
        "schedule": "linear",
        "prediction": "x0",
        "preconditioning": "none",
        "variance": "learned_range",
        "target": "residual",
        "residual_base": "bicubic",
        "residual_scale": 4.0,
        "rescale_timesteps": False,
    }
    spec = ModelSpec(
        format="superres-1",
        model=small_params(),
        diffusion=DiffusionParams.model_validate({**settings, **diffusion}),
        scale=2,
        entropies=["blur", "jpeg"],
        degradation={},
        provenance={},
    )
    return SuperResolver(spec, random_network(small_params()))


def conditions() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(3, 3, 8, 6, generator=generator) * 2 - 1
    return low, torch.rand(3, 2, generator=generator)


def noisy() -> tuple[Tensor, Tensor]:
    x = torch.randn(3, 3, 16, 12, generator=torch.Generator().manual_seed(1))
    return x, torch.tensor([0, 20, 49])


@pytest.mark.parametrize("target", ["picture", "residual"])
def test_it_is_the_network_given_its_conditions(target: str) -> None:
    made, (low, entropy), (x, t) = model(target=target), conditions(), noisy()
    conditioned = made.condition(low, entropy)
    assert conditioned.shape == (3, 3, 16, 12) == tuple(x.shape)
    with torch.no_grad():
        assert torch.equal(conditioned(x, t), made.network(x, t, low, entropy))


@pytest.mark.parametrize("target", ["picture", "residual"])
def test_what_is_diffused_follows_from_the_pictures(target: str) -> None:
    conditioned = model(target=target).condition(*conditions())
    high = torch.rand(3, 3, 16, 12) * 2 - 1
    torch.testing.assert_close(conditioned.decode(conditioned.encode(high)), high)
    torch.testing.assert_close(
        conditioned.clip(conditioned.encode(high)), conditioned.encode(high), rtol=0, atol=1e-5
    )
    limited = conditioned.decode(conditioned.clip(100 * torch.randn(conditioned.shape)))
    assert 0.99 < limited.abs().max() <= 1 + 1e-5
    half = {"picture": 1 / 255, "residual": 4 / 255}[target]
    assert conditioned.levels(high).half_width == pytest.approx(half)


def test_conditions_are_withheld_from_the_network_alone() -> None:
    made, (low, entropy), (x, t) = model(), conditions(), noisy()
    some = torch.tensor([True, False, True])
    with torch.no_grad():
        full = made.condition(low, entropy)(x, t)
        without = made.condition(low, entropy, ("low", "entropies"))(x, t)
        grey = made.network(x, t, torch.zeros_like(low), torch.full_like(entropy, -1.0))
        assert torch.equal(without, grey)
        mixed = made.condition(low, entropy, {"low": some, "entropies": some})
        said = mixed(x, t)
    torch.testing.assert_close(said[some], without[some])
    torch.testing.assert_close(said[~some], full[~some])
    assert (full - without).abs().max() > 1e-3
    high = torch.rand(3, 3, 16, 12)
    assert torch.equal(mixed.encode(high), made.condition(low, entropy).encode(high))


def test_an_unknown_condition_is_named() -> None:
    with pytest.raises(ValueError, match="conditions are low and entropies, got label"):
        model().condition(*conditions(), drop=("label",))


def test_the_input_is_upsampled_once_and_only_where_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def counted(low: Tensor, size: tuple[int, int]) -> Tensor:
        if low.shape[-2:] != tuple(size):
            calls.append(size)
        return upsample(low, size)

    upsample = conditional_unet.upsample
    monkeypatch.setattr(conditional_unet, "upsample", counted)
    conditioned = model().condition(*conditions())
    conditioned.decode(conditioned.clip(noisy()[0]))
    assert not calls
    with torch.no_grad():
        conditioned(*noisy())
        conditioned(*noisy())
    assert calls == [(16, 12)]


@pytest.mark.parametrize("preconditioning", ["none", "wiener"])
def test_the_estimate_is_the_mean_of_the_posterior(preconditioning: str) -> None:
    made = model(preconditioning=preconditioning)
    if preconditioning == "wiener":
        made = SuperResolver(made.spec, random_network(small_params(), out_channels=8))
    conditioned = made.condition(*conditions())
    noise = noisy()[0]
    x0 = drive(posterior_mean(made.diffusion, noise, conditioned.clip), conditioned)
    estimate = conditioned.estimate(lambda: noise)
    assert torch.equal(estimate, conditioned.decode(x0))
    assert estimate.abs().max() <= 1 + 1e-5


def test_the_table_of_signals_is_what_params_allow() -> None:
    assert set(SIGNALS) == set(get_args(DiffusionParams.model_fields["target"].annotation))
