"""What a network of two parts learns by: its mean, the size of what it leaves, and the denoiser.

All parts are learned at once. What the denoiser and the sizes learn does not reach the mean, which
is judged by itself; the denoiser's targets change as the mean gets better.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from superres.diffusion.process import GaussianDiffusion
from superres.diffusion.variational import mean_over_pixels
from superres.model.resolver import Conditioned
from superres.model.signal_space import luma
from superres.networks.mean_denoiser import RESIDUAL_SCALE, MeanConditions
from superres.training.config import MeanError

DEVIATION_WEIGHT = 0.1
"""Of the likelihood that the deviations are learned by."""
EQUAL = 0.2
"""Root mean square error, times `RESIDUAL_SCALE`, of tiles that pull alike by `mse` and `rmse`: 5
levels of 255."""
FLOOR = 1e-4
"""Added to the squared error that `rmse` is the root of, which has no derivative at 0."""


def mean_denoiser_terms(
    diffusion: GaussianDiffusion,
    conditioned: Conditioned,
    high: Tensor,
    timesteps: Tensor,
    noise: Tensor,
    denoised: int | None = None,
    mean_error: MeanError = "mse",
) -> dict[str, Tensor]:
    """Return the loss of each tile and its parts.

    Args:
        diffusion: the process.
        conditioned: a model whose network is a `MeanDenoiser`, given the tiles' inputs.
        high: originals in [-1, 1], (B, 3, H, W).
        timesteps: of the process, (B,).
        noise: standard normal, (B, 1, H, W).
        denoised: how many tiles, the first ones, the denoiser learns from; None for all.
        mean_error: a tile's error that the mean learns by.

    Returns:
        `loss`, the sum of the others; `mean`: error of the mean; `deviation`: negative
        log-likelihood of its luma's error under a normal distribution of the predicted size;
        `denoiser`: squared error of its prediction, 0 for tiles that it does not learn from and
        more for the others, so that the mean over all stays what it is. Each (B,).
    """
    predicted = MeanConditions(*conditioned.conditions)
    error = high - predicted.mean
    mean = mean_over_pixels((RESIDUAL_SCALE * error).square())
    if mean_error == "rmse":
        mean = 2 * EQUAL * (mean + FLOOR).sqrt()
    scaled = luma(error.detach()) / predicted.log_deviation.exp()
    deviation = DEVIATION_WEIGHT * mean_over_pixels(predicted.log_deviation + 0.5 * scaled.square())
    count = len(high) if denoised is None else denoised
    some = slice(count)
    part = conditioned.first(count)
    with torch.no_grad():
        x0 = part.encode(high[some])
        x_t = diffusion.q_sample(x0, timesteps[some], noise[some])
        target = diffusion.target(x0, noise[some], timesteps[some])
    output = part(x_t, diffusion.model_timesteps(timesteps[some]))
    denoiser = mean_over_pixels((output - target).square())
    if count < len(high):
        denoiser = F.pad(denoiser * (len(high) / count), (0, len(high) - count))
    return {
        "loss": mean + deviation + denoiser,
        "mean": mean,
        "deviation": deviation,
        "denoiser": denoiser,
    }
