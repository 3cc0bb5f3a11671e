"""Training losses, per sample, and the variational terms they are made of.

Variational terms are in bits per dimension. Sources: Ho et al. 2020, section 3.4; Nichol &
Dhariwal 2021, sections 3.1 and 3.3.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from superres.diffusion.process import Clip, Denoiser, GaussianDiffusion

LOSSES = ("mse", "rescaled_mse", "kl", "rescaled_kl")
WEIGHTINGS = ("prediction", "x0")


def loss_terms(
    diffusion: GaussianDiffusion,
    denoiser: Denoiser,
    x0: Tensor,
    t: Tensor,
    noise: Tensor,
    kind: str = "mse",
    weighting: str = "prediction",
    vb_weight: float = 1.0,
) -> dict[str, Tensor]:
    """Return the loss of each sample and its parts, each of shape (B,).

    Args:
        diffusion: the process.
        denoiser: the network.
        x0: clean images, (B, C, H, W) in [-1, 1], or a scaled residual; the likelihood at t = 0
            then takes its unit for the images', which matters to one timestep's variance only.
        t: timesteps of the process, (B,).
        noise: standard normal, as `x0`.
        kind: `mse`: squared error of the prediction plus, where the variance is learned, the
            variational term with the mean held fixed; `rescaled_mse`: that term times T / 1000
            (the hybrid loss of Improved DDPM); `kl`: the variational term alone; `rescaled_kl`:
            times T.
        weighting: squared error of the `prediction`, or of the `x0` that follows from it.
        vb_weight: a further factor on the variational term of the two squared errors.

    Returns:
        `loss`, and as far as they are part of it `mse` and `vb`, as added.

    Raises:
        ValueError: an unknown kind or weighting.
    """
    if weighting not in WEIGHTINGS:
        raise ValueError(f"weighting must be one of {', '.join(WEIGHTINGS)}, got {weighting!r}")
    if kind not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {kind!r}")
    x_t = diffusion.q_sample(x0, t, noise)
    output = denoiser(x_t, diffusion.model_timesteps(t))
    if kind in ("kl", "rescaled_kl"):
        vb = variational_term(diffusion, output, x0, x_t, t, clip_denoised=False)
        if kind == "rescaled_kl":
            vb = vb * diffusion.timesteps
        return {"loss": vb, "vb": vb}

    channels = x0.shape[1]
    if weighting == "x0":
        error = x0 - diffusion.x0_from_output(output[:, :channels], x_t, t)
    else:
        error = diffusion.target(x0, noise, t) - output[:, :channels]
    mse = mean_over_pixels(error.square())
    if not diffusion.learns_variance:
        return {"loss": mse, "mse": mse}
    # The variance alone learns from the variational term: it would pull at the mean otherwise.
    frozen = torch.cat([output[:, :channels].detach(), output[:, channels:]], dim=1)
    vb = variational_term(diffusion, frozen, x0, x_t, t, clip_denoised=False)
    vb = vb * vb_weight
    if kind == "rescaled_mse":
        vb = vb * (diffusion.timesteps / 1000)
    return {"loss": mse + vb, "mse": mse, "vb": vb}


def variational_term(
    diffusion: GaussianDiffusion,
    output: Tensor,
    x0: Tensor,
    x_t: Tensor,
    t: Tensor,
    clip_denoised: Clip = True,
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
        x0, predicted.mean, 0.5 * predicted.log_variance
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


def discretized_gaussian_log_likelihood(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Return the log-probability (nats) of 8-bit images under a Gaussian cut into 256 bins.

    Args:
        x: images whose levels v are mapped to v / 127.5 - 1.
        mean: the Gaussian's mean.
        log_scale: logarithm of its standard deviation.

    As in the reference, the outermost bins begin at +-0.999 and the normal distribution function
    is approximated by a tanh (Page 1977), so that published likelihoods can be compared.
    """
    centered = x - mean
    inverse = (-log_scale).exp()
    upper = _normal_cdf(inverse * (centered + 1 / 255))
    lower = _normal_cdf(inverse * (centered - 1 / 255))
    bottom = upper.clamp(min=1e-12).log()
    top = (1 - lower).clamp(min=1e-12).log()
    middle = (upper - lower).clamp(min=1e-12).log()
    return torch.where(x < -0.999, bottom, torch.where(x > 0.999, top, middle))


def _normal_cdf(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
