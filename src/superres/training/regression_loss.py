"""What a network of two parts learns by: its mean, the size of what it leaves, and the denoiser.

All parts are learned at once. What the denoiser and the sizes learn does not reach the mean, which
is judged by itself; the denoiser's targets change as the mean gets better.
"""

from __future__ import annotations

import torch
from torch import Tensor

from superres.diffusion.process import GaussianDiffusion
from superres.diffusion.variational import mean_over_pixels
from superres.model.resolver import Conditioned
from superres.model.signal_space import luma
from superres.networks.mean_denoiser import RESIDUAL_SCALE, MeanConditions

DEVIATION_WEIGHT = 0.1
"""Of the likelihood that the deviations are learned by."""


def mean_denoiser_terms(
    diffusion: GaussianDiffusion,
    conditioned: Conditioned,
    high: Tensor,
    timesteps: Tensor,
    noise: Tensor,
) -> dict[str, Tensor]:
    """Return the loss of each tile and its parts.

    Args:
        diffusion: the process.
        conditioned: a model whose network is a `MeanDenoiser`, given the tiles' inputs.
        high: originals in [-1, 1], (B, 3, H, W).
        timesteps: of the process, (B,).
        noise: standard normal, (B, 1, H, W).

    Returns:
        `loss`, the sum of the others; `mean`: squared error of the mean; `deviation`: negative
        log-likelihood of its luma's error under a normal distribution of the predicted size;
        `denoiser`: squared error of its prediction. Each (B,).
    """
    predicted = MeanConditions(*conditioned.conditions)
    error = high - predicted.mean
    mean = mean_over_pixels((RESIDUAL_SCALE * error).square())
    scaled = luma(error.detach()) / predicted.log_deviation.exp()
    deviation = DEVIATION_WEIGHT * mean_over_pixels(predicted.log_deviation + 0.5 * scaled.square())
    with torch.no_grad():
        x0 = conditioned.encode(high)
        x_t = diffusion.q_sample(x0, timesteps, noise)
        target = diffusion.target(x0, noise, timesteps)
    output = conditioned(x_t, diffusion.model_timesteps(timesteps))
    denoiser = mean_over_pixels((output - target).square())
    return {
        "loss": mean + deviation + denoiser,
        "mean": mean,
        "deviation": deviation,
        "denoiser": denoiser,
    }
