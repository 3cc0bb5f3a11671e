from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from superres.diffusion import GaussianDiffusion, loss_terms, make_betas
from superres.diffusion.losses import min_snr_weight
from superres.diffusion.noise import ItemNoise
from superres.diffusion.variational import (
    Levels,
    bits_per_dim,
    discretized_gaussian_log_likelihood,
    prior_term,
    variational_term,
)
from support import GOLDEN

LOSSES = np.load(GOLDEN / "losses.npz")


def golden(name: str) -> Tensor:
    return torch.from_numpy(LOSSES[name])


def test_the_prior_is_the_references() -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 4000))
    prior = prior_term(diffusion, golden("x_start"))
    torch.testing.assert_close(prior, golden("prior_bpd"), rtol=0, atol=1e-7)


def test_the_decoder_is_the_references() -> None:
    images = golden("x_start")[:1]
    ours = discretized_gaussian_log_likelihood(images, 0.9 * images, torch.full_like(images, -4.0))
    torch.testing.assert_close(ours, golden("decoder_loglik_example"), rtol=1e-6, atol=1e-6)


def test_the_bins_of_all_levels_together_hold_everything() -> None:
    images = (torch.arange(256.0, dtype=torch.float64) / 127.5 - 1).reshape(1, 1, 16, 16)
    for mean, scale in ((0.0, 0.3), (0.99, 0.05), (-1.0, 1e-2)):
        likelihood = discretized_gaussian_log_likelihood(
            images, torch.full_like(images, mean), torch.full_like(images, math.log(scale))
        )
        assert likelihood.exp().sum().item() == pytest.approx(1, abs=1e-6)


def images_and_process() -> tuple[Tensor, GaussianDiffusion]:
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (3, 3, 6, 6), generator=generator).double()
    return levels / 127.5 - 1, GaussianDiffusion(make_betas("linear", 60))


def tiny(x: Tensor, t: Tensor) -> Tensor:
    return torch.cat([0.7 * x, 0.2 * x + t[:, None, None, None] / 100], dim=1)


def test_the_bound_is_the_sum_of_its_terms() -> None:
    images, diffusion = images_and_process()
    bits = bits_per_dim(diffusion, tiny, images, ItemNoise([1, 2, 3], (3, 6, 6)))
    assert bits.terms.shape == bits.x0_mse.shape == bits.epsilon_mse.shape == (3, 60)
    torch.testing.assert_close(bits.total, bits.terms.sum(1) + bits.prior)
    noise = ItemNoise([1, 2, 3], (3, 6, 6))
    for index in (59, 58, 57):
        t = torch.full((3,), index)
        x_t = diffusion.q_sample(images, t, noise())
        term = variational_term(diffusion, tiny(x_t, t), images, x_t, t)
        torch.testing.assert_close(bits.terms[:, index], term)


def test_a_perfect_denoiser_needs_next_to_no_bits_but_the_decoders() -> None:
    images, _ = images_and_process()
    diffusion = GaussianDiffusion(make_betas("linear", 60), "x0", "fixed_small")
    bits = bits_per_dim(diffusion, lambda *_: images, images, ItemNoise([1, 2, 3], (3, 6, 6)))
    assert bits.terms[:, 1:].abs().max() < 1e-6
    assert bits.x0_mse.abs().max() == 0


def test_a_scaled_residual_costs_the_same_bits_as_its_pictures() -> None:
    """Shifting and scaling what is diffused changes its densities, but not the levels' bins."""
    images, _ = images_and_process()
    base = 0.5 * images.mean(1, keepdim=True)
    scale = 4.0
    mean = images + 0.01
    log_scale = torch.full_like(images, -3.0)
    plain = discretized_gaussian_log_likelihood(images, mean, log_scale)
    scaled = discretized_gaussian_log_likelihood(
        scale * (images - base),
        scale * (mean - base),
        log_scale + math.log(scale),
        Levels.of(images, scale),
    )
    torch.testing.assert_close(scaled, plain)
    wrong = discretized_gaussian_log_likelihood(
        scale * (images - base), scale * (mean - base), log_scale + math.log(scale)
    )
    assert (wrong - plain).abs().max() > 0.5


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
@pytest.mark.parametrize("weighting", ["prediction", "x0"])
def test_min_snr_weighs_every_prediction_as_the_same_error_of_x0(
    prediction: str, weighting: str
) -> None:
    diffusion = GaussianDiffusion(make_betas("cosine", 100), prediction, "fixed_small")
    generator = torch.Generator().manual_seed(0)
    x0, noise, output = torch.randn(3, 3, 3, 5, 5, generator=generator, dtype=torch.float64)
    t = torch.tensor([5, 40, 90])
    terms = loss_terms(
        diffusion, lambda *_: output, x0, t, noise, weighting=weighting, min_snr_gamma=5.0
    )
    x_t = diffusion.q_sample(x0, t, noise)
    error = (diffusion.x0_from_output(output, x_t, t) - x0).square().flatten(1).mean(1)
    signal = torch.from_numpy(diffusion.alphas_cumprod)[t]
    ratio = signal / (1 - signal)
    assert (ratio[0] > 5) and (ratio[2] < 5)
    torch.testing.assert_close(terms["loss"], ratio.clamp(max=5) * error)


def test_min_snr_weights_of_the_paper() -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 1000))
    t = torch.tensor([0, 999])
    weights = min_snr_weight(diffusion, t, 5.0, "epsilon")
    ratio = diffusion.alphas_cumprod[0] / (1 - diffusion.alphas_cumprod[0])
    np.testing.assert_allclose(weights.numpy(), [5 / ratio, 1.0])
