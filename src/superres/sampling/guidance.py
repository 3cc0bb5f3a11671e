"""Guidance without a classifier: away from what the network says with fewer conditions.

Source: Ho & Salimans 2022, "Classifier-free diffusion guidance"; the ramp is DL-Art-School's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from superres.diffusion.process import Denoiser, GaussianDiffusion


def guided(
    diffusion: GaussianDiffusion,
    conditional: Denoiser,
    unconditional: Denoiser,
    scale: float,
    ramp: bool = False,
) -> Denoiser:
    """Return a denoiser whose prediction is (1 + w) conditional - w unconditional.

    Given x_t, epsilon, x0 and v follow from each other linearly, so it does not matter which is
    mixed. A learned variance is the conditional one's.

    Args:
        diffusion: the process the network was trained on, not a respaced one.
        conditional: the network with all conditions.
        unconditional: the network with fewer; see `superres.networks.conditions`.
        scale: w, at least 0.
        ramp: w falls with the noise, from all of the scale at the cleanest timestep to next to
            nothing at the noisiest: w (1 - t / T).
    """
    end = diffusion.timesteps * (diffusion.model_timesteps_scale or 1.0)

    def denoise(x_t: Tensor, timesteps: Tensor) -> Tensor:
        with_all, with_fewer = conditional(x_t, timesteps), unconditional(x_t, timesteps)
        channels = x_t.shape[1]
        difference = with_all[:, :channels] - with_fewer[:, :channels]
        share = (1 - timesteps / end).to(x_t.dtype)[:, None, None, None] if ramp else 1.0
        mixed = with_all[:, :channels] + scale * share * difference
        return torch.cat([mixed, with_all[:, channels:]], dim=1)

    return denoise
