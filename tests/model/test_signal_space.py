"""What is diffused: pictures from it, and it from pictures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from superres.core.errors import SuperresError
from superres.diffusion.config import DiffusionParams
from superres.model.resolver import SuperResolver
from superres.model.signal_space import DARK, LIMIT, SHADING, SIGNALS, luma
from superres.model.spec import ModelSpec
from superres.networks.config import MeanDenoiserParams

DIFFUSION = {
    "timesteps": 100,
    "schedule": "linear",
    "prediction": "v",
    "preconditioning": "none",
    "variance": "fixed_small",
    "target": "scaled_luma",
    "residual_base": "bicubic",
    "residual_scale": 10.0,
    "rescale_timesteps": False,
}
NETWORK = {
    "kind": "mean_denoiser",
    "mean_channels": 8,
    "mean_blocks": [1, 1, 1],
    "denoiser_channels": 4,
    "denoiser_blocks": [1, 1, 1],
}


def model(**changes: object) -> SuperResolver:
    """Return a model of two parts with random weights."""
    torch.manual_seed(0)
    made = SuperResolver(
        ModelSpec(
            format="superres-1",
            model=MeanDenoiserParams.model_validate(NETWORK),
            diffusion=DiffusionParams.model_validate({**DIFFUSION, **changes}),
            scale=2,
            entropies=["blur", "jpeg"],
            degradation={},
            dropped=[],
            provenance={},
        )
    )
    with torch.no_grad():
        for weight in made.network.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return made.to(torch.device("cpu"))


def tiles(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return smooth originals, inputs and entropies of two tiles."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 3, 6, 6, generator=generator) * 1.6 - 0.8
    high = torch.nn.functional.interpolate(coarse, (24, 24), mode="bicubic")
    return high, torch.nn.functional.avg_pool2d(high, 2), torch.rand(2, 2, generator=generator)


def chroma(picture: Tensor) -> Tensor:
    return picture[:, [2, 0]] - luma(picture)


def test_luma_of_grey_is_grey_and_green_is_the_brightest() -> None:
    grey = torch.full((1, 3, 2, 2), 0.3)
    assert torch.allclose(luma(grey), torch.tensor(0.3))
    assert luma(torch.eye(3)[:, :, None, None]).flatten().argmax() == 1


def test_decoded_luma_is_the_originals_and_chroma_the_means_in_that_light() -> None:
    high, low, entropy = tiles()
    conditioned = model().condition(low, entropy)
    x = conditioned.encode(high)
    assert x.shape == conditioned.shape == (2, 1, 24, 24)
    within = (x.abs() < LIMIT).expand(-1, 3, -1, -1)
    restored = conditioned.decode(x)
    assert within.float().mean() > 0.9
    assert torch.allclose(luma(restored)[within[:, :1]], luma(high)[within[:, :1]], atol=1e-5)
    mean = conditioned.conditions.mean
    brighter = luma(restored) - luma(mean)
    shaded = 1 + SHADING * brighter / (luma(mean).clamp(min=-1) + 1 + DARK)
    assert torch.allclose(chroma(restored), chroma(mean) * shaded, atol=1e-5)


def test_nothing_diffused_is_the_mean_and_the_estimate_needs_no_noise() -> None:
    _, low, entropy = tiles()
    conditioned = model().condition(low, entropy)
    mean = conditioned.conditions.mean
    assert torch.allclose(conditioned.decode(torch.zeros(conditioned.shape)), mean)

    def no_noise() -> Tensor:
        raise AssertionError

    assert torch.equal(conditioned.estimate(no_noise), mean.clamp(-1, 1))


def test_the_mean_network_is_evaluated_once_however_often_the_denoiser_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, low, entropy = tiles()
    made = model()
    calls: list[int] = []
    evaluate = made.network.mean.forward
    monkeypatch.setattr(
        made.network.mean, "forward", lambda *given: calls.append(1) or evaluate(*given)
    )
    conditioned = made.condition(low, entropy)
    for t in (99, 50, 0):
        conditioned(torch.zeros(conditioned.shape), torch.tensor([t, t]))
    conditioned.decode(torch.zeros(conditioned.shape))
    assert calls == [1]


def test_a_likelihood_of_luma_alone_is_refused() -> None:
    high, low, entropy = tiles()
    with pytest.raises(SuperresError, match="'scaled_luma' has no likelihood of pictures"):
        model().condition(low, entropy).levels(high)


@pytest.mark.parametrize("change", [{"variance": "learned_range"}, {"target": "residual"}])
def test_a_diffusion_that_the_network_cannot_serve_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(Exception, match=r"'mean_denoiser' needs diffusion\.target 'scaled_luma'"):
        model(**change)


def test_every_target_has_a_signal() -> None:
    from typing import get_args  # noqa: PLC0415

    wanted = get_args(DiffusionParams.model_fields["target"].annotation)
    assert set(wanted) == set(SIGNALS)
