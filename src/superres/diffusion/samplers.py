"""Samplers: functions from noise to images over one denoiser, without hidden state.

Each sampler is a step: from x_t and the network's output at t to x_{t-1}. Adding one is one
function and one row in `SAMPLERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superres.diffusion.process import Clip, Denoiser, GaussianDiffusion, Prediction

Draw = Callable[[], Tensor]
"""Returns fresh standard normal noise of the images' shape."""

Watch = Callable[[int, Tensor, Tensor], object]
"""Called after every step with (steps done, x, predicted x0); must not change them."""


@dataclass(frozen=True)
class Step:
    """Where a sampler stands: the respaced process, its timestep index and that as a tensor."""

    diffusion: GaussianDiffusion
    index: int
    t: Tensor
    eta: float
    temperature: float


def _ddpm(step: Step, x: Tensor, said: Prediction, draw: Draw) -> Tensor:
    # Ancestral sampling (DDPM, algorithm 2) with the process's own variance.
    if step.index == 0:
        return said.mean
    return said.mean + step.temperature * (0.5 * said.log_variance).exp() * draw()


def _ddim(step: Step, x: Tensor, said: Prediction, draw: Draw) -> Tensor:
    # Song et al. 2021, equation 12; eta scales the noise (equation 16).
    epsilon = step.diffusion.epsilon_from_x0(said.x0, x, step.t)
    now = step.diffusion.at("alphas_cumprod", step.t, x)
    before = step.diffusion.at("alphas_cumprod_before", step.t, x)
    sigma = step.eta * ((1 - before) / (1 - now)).sqrt() * (1 - now / before).sqrt()
    x = said.x0 * before.sqrt() + (1 - before - sigma**2).sqrt() * epsilon
    return x + step.temperature * sigma * draw() if step.eta > 0 and step.index else x


SAMPLERS: dict[str, Callable[[Step, Tensor, Prediction, Draw], Tensor]] = {
    "ddpm": _ddpm,
    "ddim": _ddim,
}


@torch.no_grad()
def sample(
    diffusion: GaussianDiffusion,
    denoiser: Denoiser,
    shape: Sequence[int],
    *,
    draw: Draw,
    sampler: str = "ddpm",
    steps: int | str | Sequence[int] = 50,
    eta: float = 0.0,
    temperature: float = 1.0,
    clip_denoised: Clip = True,
    watch: Watch | None = None,
) -> Tensor:
    """Return samples, shape `shape`, in the range of the training data.

    Args:
        diffusion: the process the network was trained on.
        denoiser: the network with its conditions bound.
        shape: (B, C, H, W).
        draw: source of noise of that shape; its first draw is x_T. See `superres.diffusion.noise`.
        sampler: a name from `SAMPLERS`.
        steps: number of network evaluations, or any spacing of `space_timesteps`.
        eta: noise of `ddim`.
        temperature: factor on the noise added in each step; x_T keeps unit variance.
        clip_denoised: how predictions of x0 are limited.
        watch: called after every step.

    Raises:
        ValueError: an unknown sampler, an impossible spacing, noise of another shape.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
    x = draw()
    if tuple(x.shape) != tuple(shape):
        raise ValueError(f"the noise is {tuple(x.shape)}, the images {tuple(shape)}")
    respaced = diffusion.respaced(steps).to(x.device)
    advance = SAMPLERS[sampler]
    # One row of indices for all steps: filling a tensor per step would wait for the device.
    indices = torch.arange(respaced.timesteps, device=x.device)
    for index in reversed(range(respaced.timesteps)):
        t = indices[index].expand(x.shape[0])
        said = respaced.p_mean_variance(denoiser, x, t, clip_denoised)
        x = advance(Step(respaced, index, t, eta, temperature), x, said, draw)
        if watch is not None:
            watch(respaced.timesteps - index, x, said.x0)
    return x


@torch.no_grad()
def posterior_mean(
    diffusion: GaussianDiffusion, denoiser: Denoiser, draw: Draw, clip_denoised: Clip = True
) -> Tensor:
    """Return the network's x0 at the noisiest timestep: one evaluation, no sampling.

    At that timestep x_t holds next to nothing of the image, so the least-squares x0 is the mean of
    the posterior given the conditions alone.
    """
    x = draw()
    t = torch.full((x.shape[0],), diffusion.timesteps - 1, device=x.device)
    return diffusion.p_mean_variance(denoiser, x, t, clip_denoised).x0
