from __future__ import annotations

import pytest
import torch
from torch import Tensor

from superres.diffusion import GaussianDiffusion, make_betas
from superres.sampling.guidance import guided

X = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def network(offset: float, variance: float) -> object:
    def denoise(x: Tensor, t: Tensor) -> Tensor:
        return torch.cat([x + offset, torch.full_like(x, variance)], dim=1)

    return denoise


@pytest.mark.parametrize("rescale", [None, 0.25])
@pytest.mark.parametrize("ramp", [False, True])
def test_the_prediction_is_pushed_away_and_the_variance_kept(
    ramp: bool, rescale: float | None
) -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 4000), model_timesteps_scale=rescale)
    t = torch.tensor([0, 1000, 3999])
    output = guided(diffusion, network(1.0, 0.5), network(0.25, -0.5), 2.0, ramp)(
        X, diffusion.model_timesteps(t)
    )
    weight = 2.0 * (1 - t / 4000) if ramp else torch.full((3,), 2.0)
    expected = X + 1.0 + 0.75 * weight[:, None, None, None]
    torch.testing.assert_close(output[:, :3], expected)
    torch.testing.assert_close(output[:, 3:], torch.full_like(X, 0.5))


def test_no_guidance_is_the_conditional_network() -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 100))
    t = torch.tensor([5, 50, 99])
    conditional = network(1.0, 0.5)
    output = guided(diffusion, conditional, network(-3.0, 0.0), 0.0)(X, t)
    torch.testing.assert_close(output, conditional(X, t))


@pytest.mark.parametrize("prediction", ["x0", "v"])
def test_mixing_predictions_mixes_epsilon_alike(prediction: str) -> None:
    betas = make_betas("cosine", 100)
    plain = GaussianDiffusion(betas, "epsilon", "fixed_small")
    other = GaussianDiffusion(betas, prediction, "fixed_small")
    generator = torch.Generator().manual_seed(1)
    told, less = torch.randn(2, 3, 3, 4, 4, generator=generator, dtype=torch.float64)
    x, t = X.double(), torch.tensor([5, 50, 90])

    def as_other(epsilon: Tensor) -> Tensor:
        x0 = plain.x0_from_output(epsilon, x, t)
        return other.target(x0, epsilon, t)

    mixed = guided(plain, lambda *_: told, lambda *_: less, 1.5)(x, t)
    mixed_other = guided(other, lambda *_: as_other(told), lambda *_: as_other(less), 1.5)(x, t)
    torch.testing.assert_close(
        other.x0_from_output(mixed_other, x, t), plain.x0_from_output(mixed, x, t)
    )
