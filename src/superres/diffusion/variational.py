"""The variational bound: its terms, and the bits per dimension of a test set.

Everything is in bits per dimension. Sources: Ho et al. 2020, section 3.3; Nichol & Dhariwal 2021,
section 3.3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from superres.diffusion.noise import Draw
from superres.diffusion.process import Clip, Denoiser, GaussianDiffusion

EDGE = 0.999
"""Where the reference's outermost bins begin."""


class Levels(NamedTuple):
    """Where the 256 levels of 8-bit images lie in what is diffused.

    `half_width` is half the distance of two levels; `lowest` and `highest` mark the pixels that are
    0 and 255, whose bins reach to infinity, (B, C, H, W).
    """

    half_width: float
    lowest: Tensor
    highest: Tensor

    @classmethod
    def of(cls, images: Tensor, scale: float = 1.0) -> Levels:
        """Return the levels of images in [-1, 1], diffused as they are or scaled."""
        return cls(scale / 255, images < -EDGE, images > EDGE)


class BitsPerDim(NamedTuple):
    """The bound and its parts; timesteps run from 0."""

    total: Tensor
    """Sum of `terms` and `prior`, (B,), bits per dimension."""
    prior: Tensor
    """What x_T still says of x0, (B,), bits per dimension."""
    terms: Tensor
    """The bound's term of each timestep, (B, T), bits per dimension; t = 0 is the decoder's."""
    x0_mse: Tensor
    """Squared error of the predicted x0, (B, T)."""
    epsilon_mse: Tensor
    """Squared error of the noise that follows from it, (B, T)."""


@torch.no_grad()
def bits_per_dim(
    diffusion: GaussianDiffusion,
    denoiser: Denoiser,
    x0: Tensor,
    draw: Draw,
    clip_denoised: Clip = True,
    levels: Levels | None = None,
) -> BitsPerDim:
    """Return the bound on the bits per dimension of images, with one evaluation per timestep.

    Args:
        diffusion: the process; over fewer timesteps, a looser bound in fewer evaluations.
        denoiser: the network.
        x0: what is diffused, (B, C, H, W).
        draw: source of noise of that shape, drawn once per timestep, the noisiest first.
        clip_denoised: how predictions of x0 are limited.
        levels: the 8-bit images that `x0` stands for, if it is not those images.
    """
    columns: list[tuple[Tensor, Tensor, Tensor]] = []
    indices = torch.arange(diffusion.timesteps, device=x0.device)
    for index in reversed(range(diffusion.timesteps)):
        t = indices[index].expand(x0.shape[0])
        noise = draw()
        x_t = diffusion.q_sample(x0, t, noise)
        output = denoiser(x_t, diffusion.model_timesteps(t))
        predicted = diffusion.interpret(output, x_t, t, clip_denoised).x0
        epsilon = diffusion.epsilon_from_x0(predicted, x_t, t)
        columns.append(
            (
                variational_term(diffusion, output, x0, x_t, t, clip_denoised, levels),
                mean_over_pixels((predicted - x0).square()),
                mean_over_pixels((epsilon - noise).square()),
            )
        )
    terms, x0_mse, epsilon_mse = (
        torch.stack(column, dim=1).flip(1) for column in zip(*columns, strict=True)
    )
    prior = prior_term(diffusion, x0)
    return BitsPerDim(terms.sum(1) + prior, prior, terms, x0_mse, epsilon_mse)


def prior_term(diffusion: GaussianDiffusion, x0: Tensor) -> Tensor:
    """Return the divergence of q(x_T | x0) from the standard normal, (B,), bits per dimension."""
    last = torch.full((x0.shape[0],), diffusion.timesteps - 1, device=x0.device)
    zero = torch.zeros_like(x0)
    log_variance = diffusion.at("log_noise", last, x0)
    nats = gaussian_kl(diffusion.at("signal", last, x0) * x0, log_variance, zero, zero)
    return mean_over_pixels(nats) / math.log(2)


def variational_term(
    diffusion: GaussianDiffusion,
    output: Tensor,
    x0: Tensor,
    x_t: Tensor,
    t: Tensor,
    clip_denoised: Clip = True,
    levels: Levels | None = None,
) -> Tensor:
    """Return one term of the variational bound per sample, (B,), in bits per dimension.

    The divergence from the true posterior, or at t = 0 the decoder's negative log-likelihood.
    """
    true = diffusion.q_posterior(x0, x_t, t)
    predicted = diffusion.interpret(output, x_t, t, clip_denoised)
    divergence = gaussian_kl(
        true.mean, true.log_variance, predicted.mean, predicted.log_variance.to(x_t.dtype)
    )
    likelihood = discretized_gaussian_log_likelihood(
        x0, predicted.mean, 0.5 * predicted.log_variance, levels
    )
    nats = torch.where(t == 0, -mean_over_pixels(likelihood), mean_over_pixels(divergence))
    return nats / math.log(2)


def mean_over_pixels(x: Tensor) -> Tensor:
    """Return the mean of each sample, (B, ...) -> (B,)."""
    return x.flatten(1).mean(1)


def gaussian_kl(mean1: Tensor, log_var1: Tensor, mean2: Tensor, log_var2: Tensor) -> Tensor:
    """Return the divergence KL(1 || 2) of diagonal Gaussians in nats, elementwise."""
    ratio = log_var1 - log_var2
    return 0.5 * (ratio.exp() - 1 - ratio + (mean1 - mean2).square() * (-log_var2).exp())


def discretized_gaussian_log_likelihood(
    x: Tensor, mean: Tensor, log_scale: Tensor, levels: Levels | None = None
) -> Tensor:
    """Return the log-probability (nats) of 8-bit images under a Gaussian cut into 256 bins.

    Args:
        x: what is diffused, (B, C, H, W).
        mean: the Gaussian's mean.
        log_scale: logarithm of its standard deviation.
        levels: where the bins lie; by default `x` is images whose levels v are v / 127.5 - 1.

    As in the reference, the outermost bins of images begin at +-0.999 and the normal distribution
    function is approximated by a tanh (Page 1977), so that published likelihoods can be compared.
    """
    half_width, lowest, highest = levels or Levels.of(x)
    centered = x - mean
    inverse = (-log_scale).exp()
    upper = _normal_cdf(inverse * (centered + half_width))
    lower = _normal_cdf(inverse * (centered - half_width))
    bottom = upper.clamp(min=1e-12).log()
    top = (1 - lower).clamp(min=1e-12).log()
    middle = (upper - lower).clamp(min=1e-12).log()
    return torch.where(lowest, bottom, torch.where(highest, top, middle))


def _normal_cdf(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
