"""Samplers: pure functions from noise to images over one denoiser.

A sampler is a function of a `Walk` and x_T. Adding one is one function and one row in `SAMPLERS`;
those of higher order are in `solvers.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from superres.diffusion.process import Clip, Denoiser, GaussianDiffusion
from superres.sampling.solvers import dpmpp_2m, dpmpp_2m_sde, heun
from superres.sampling.spacing import Spacing
from superres.sampling.trajectory import Draw, Walk, Watch


def ddpm(walk: Walk, x: Tensor) -> Tensor:
    """Ancestral sampling with the process's own variance (Ho et al. 2020, algorithm 2)."""
    for index in walk.indices:
        x, log_variance, x0, _ = walk.predict(x, index)
        if index:
            deviation = (0.5 * log_variance).exp_()
            del log_variance
            x.addcmul_(deviation, walk.draw(), value=walk.temperature)
            del deviation
        walk.report(index, x, x0)
        del x0  # nothing but x is held while the network is evaluated
    return x


def ddim(walk: Walk, x: Tensor) -> Tensor:
    """Implicit sampling (Song et al. 2021, equation 12); eta scales the noise (equation 16)."""
    for index in walk.indices:
        x0 = walk.predict_x0(x, index)
        now, before = walk.alpha[index], walk.alpha[index - 1] if index else 1.0
        kept = (1 - before**2) / (1 - now**2)
        sigma = walk.eta * math.sqrt(kept * (1 - (now / before) ** 2))
        # sqrt(1 - before^2 - sigma^2) epsilon, where epsilon is what x0 leaves of x.
        stay = math.sqrt(max(0.0, 1 - before**2 - sigma**2) / (1 - now**2))
        x = ((before - stay * now) * x0).add_(x, alpha=stay)
        if walk.eta > 0 and index:
            x.add_(walk.draw(), alpha=walk.temperature * sigma)
        walk.report(index, x, x0)
        del x0
    return x


SAMPLERS: dict[str, Callable[[Walk, Tensor], Tensor]] = {
    "ddpm": ddpm,
    "ddim": ddim,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "heun": heun,
}


def evaluations(sampler: str, steps: int) -> int:
    """Return how often a sampler evaluates the network for one picture."""
    return 2 * steps - 1 if sampler == "heun" else steps


@torch.no_grad()
def sample(
    diffusion: GaussianDiffusion,
    denoiser: Denoiser,
    shape: Sequence[int],
    *,
    draw: Draw,
    sampler: str = "ddpm",
    steps: Spacing = 50,
    spacing: str = "linear",
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
        steps: number of timesteps visited: one network evaluation each, but `heun` makes two at
            every step except the last. `linear` spacing takes all that `space_timesteps` does.
        spacing: how they are spread; see `superres.sampling.spacing.choose_timesteps`.
        eta: noise of `ddim`.
        temperature: factor on the noise added in each step; x_T keeps unit variance.
        clip_denoised: how predictions of x0 are limited.
        watch: called after every step.

    Raises:
        ValueError: an unknown sampler or spacing, steps it cannot give, noise of another shape.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
    begin = [draw()]
    if tuple(begin[0].shape) != tuple(shape):
        raise ValueError(f"the noise is {tuple(begin[0].shape)}, the images {tuple(shape)}")
    respaced = diffusion.respaced(steps, spacing).to(begin[0].device)
    walk = Walk(respaced, denoiser, draw, eta, temperature, clip_denoised, watch)
    return SAMPLERS[sampler](walk, begin.pop())  # handed over: the sampler alone holds it


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


@torch.no_grad()
def ddim_reverse_step(
    diffusion: GaussianDiffusion,
    denoiser: Denoiser,
    x: Tensor,
    index: int,
    clip_denoised: Clip = True,
) -> Tensor:
    """Return x one timestep noisier along the deterministic path (Song et al. 2021, equation 14).

    From image to noise: what `ddim` with eta 0 then takes back.

    Args:
        diffusion: the (respaced) process.
        denoiser: the network with its conditions bound.
        x: (B, C, H, W), at timestep `index`.
        index: in [0, T - 1); the result is at `index + 1`.
        clip_denoised: how predictions of x0 are limited.

    Raises:
        ValueError: there is no noisier timestep.
    """
    if not 0 <= index < diffusion.timesteps - 1:
        raise ValueError(f"index must be in 0 to {diffusion.timesteps - 2}, got {index}")
    t = torch.full((x.shape[0],), index, device=x.device)
    x0 = diffusion.p_mean_variance(denoiser, x, t, clip_denoised).x0
    epsilon = diffusion.epsilon_from_x0(x0, x, t)
    return diffusion.q_sample(x0, t + 1, epsilon)
