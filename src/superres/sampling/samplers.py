"""Samplers: from noise to images by asking a network what is behind the noise.

A sampler is a generator over a `Trajectory` and x_T: `yield from trajectory.predict_x0(x, index)`
asks for one evaluation. It never calls a network, so that one picture, a batch, or a picture in
bands is sampled by the same code. Adding one is a function and a row in `SAMPLERS`.

Solvers of second order work on predictions of x0, which may be clipped, in the half log-SNR lambda
as time. Their last step, to no noise at all, is the prediction itself: lambda has no end there.
Coefficients are Python floats from float64 tables: nothing is copied to or from the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from superres.diffusion.noise import Draw
from superres.diffusion.prediction import Requests, drive
from superres.diffusion.process import Clip, Denoiser, GaussianDiffusion
from superres.sampling.spacing import Spacing, respaced
from superres.sampling.trajectory import Trajectory, Watch


def ddpm(trajectory: Trajectory, x: Tensor) -> Requests[Tensor]:
    """Ancestral sampling with the process's own variance (Ho et al. 2020, algorithm 2)."""
    for index in trajectory.indices:
        x, log_variance, x0, _ = yield from trajectory.predict(x, index)
        if index:
            deviation = (0.5 * log_variance).exp_()
            del log_variance
            x.addcmul_(deviation, trajectory.draw(), value=trajectory.temperature)
            del deviation
        trajectory.report(index, x, x0)
        del x0  # nothing but x is held while the network is evaluated
    return x


def ddim(trajectory: Trajectory, x: Tensor) -> Requests[Tensor]:
    """Implicit sampling (Song et al. 2021, equation 12); eta scales the noise (equation 16)."""
    for index in trajectory.indices:
        x0 = yield from trajectory.predict_x0(x, index)
        now, before = trajectory.alpha[index], trajectory.alpha[index - 1] if index else 1.0
        kept = (1 - before**2) / (1 - now**2)
        sigma = trajectory.eta * math.sqrt(kept * (1 - (now / before) ** 2))
        # sqrt(1 - before^2 - sigma^2) epsilon, where epsilon is what x0 leaves of x.
        stay = math.sqrt(max(0.0, 1 - before**2 - sigma**2) / (1 - now**2))
        x = ((before - stay * now) * x0).add_(x, alpha=stay)
        if trajectory.eta > 0 and index:
            x.add_(trajectory.draw(), alpha=trajectory.temperature * sigma)
        trajectory.report(index, x, x0)
        del x0
    return x


def dpmpp_2m(trajectory: Trajectory, x: Tensor) -> Requests[Tensor]:
    """DPM-Solver++(2M), deterministic (Lu et al. 2022, "DPM-Solver++", algorithm 2)."""
    previous = None
    for index in trajectory.indices:
        x0 = yield from trajectory.predict_x0(x, index)
        aim = _extrapolated(trajectory, index, x0, previous)
        x = _exponential_step(trajectory, x, aim, index)
        previous = x0
        trajectory.report(index, x, x0)
        del aim, x0
    return x


def dpmpp_2m_sde(trajectory: Trajectory, x: Tensor) -> Requests[Tensor]:
    """SDE-DPM-Solver++(2M): the same with the noise of the stochastic equation (appendix C)."""
    previous = None
    for index in trajectory.indices:
        x0 = yield from trajectory.predict_x0(x, index)
        aim = _extrapolated(trajectory, index, x0, previous)
        if index == 0:
            x = x0
        else:
            shrink = math.exp(-_stride(trajectory, index))
            x = trajectory.sigma[index - 1] / trajectory.sigma[index] * shrink * x
            x.add_(aim, alpha=trajectory.alpha[index - 1] * (1 - shrink**2))
            fresh = trajectory.sigma[index - 1] * math.sqrt(1 - shrink**2)
            x.add_(trajectory.draw(), alpha=trajectory.temperature * fresh)
        previous = x0
        trajectory.report(index, x, x0)
        del aim, x0
    return x


def heun(trajectory: Trajectory, x: Tensor) -> Requests[Tensor]:
    """Heun's method on the probability flow (Karras et al. 2022, algorithm 1).

    In y = x / alpha with the noise s = sigma / alpha as time, dy/ds = (y - x0) / s. Two evaluations
    per step but the last, which ends at no noise.
    """
    alpha = trajectory.alpha
    ratio = [sigma / alpha for sigma, alpha in zip(trajectory.sigma, alpha, strict=True)]
    for index in trajectory.indices:
        x0 = yield from trajectory.predict_x0(x, index)
        if index == 0:
            x = x0
        else:
            now, then = ratio[index], ratio[index - 1]
            y = x / alpha[index]
            slope = (y - x0).div_(now)
            x = torch.add(y, slope, alpha=then - now).mul_(alpha[index - 1])
            del x0
            x0 = yield from trajectory.predict_x0(x, index - 1)
            slope += (x / alpha[index - 1]).sub_(x0).div_(then)
            x = y.add_(slope, alpha=(then - now) * 0.5).mul_(alpha[index - 1])
            del y, slope
        trajectory.report(index, x, x0)
        del x0
    return x


def _stride(trajectory: Trajectory, index: int) -> float:
    """Return how far lambda rises in the step from an index."""
    return trajectory.log_snr[index - 1] - trajectory.log_snr[index]


def _extrapolated(
    trajectory: Trajectory, index: int, x0: Tensor, previous: Tensor | None
) -> Tensor:
    """Return x0 half a step ahead, on the line through the last two predictions."""
    if previous is None or index == 0:
        return x0
    ahead = _stride(trajectory, index) / (2 * _stride(trajectory, index + 1))
    return torch.lerp(previous, x0, 1 + ahead)


def _exponential_step(trajectory: Trajectory, x: Tensor, aim: Tensor, index: int) -> Tensor:
    """Return x at the next index if x0 were `aim` all the way, exactly."""
    if index == 0:
        return aim
    stay = trajectory.sigma[index - 1] / trajectory.sigma[index]
    toward = trajectory.alpha[index - 1] * math.expm1(-_stride(trajectory, index))
    return (stay * x).sub_(aim, alpha=toward)


def _one_per_step(steps: int) -> int:
    return steps


def _two_per_step_but_the_last(steps: int) -> int:
    return max(0, 2 * steps - 1)


class Sampler(NamedTuple):
    """A sampler, and what is known of it without running it."""

    function: Callable[[Trajectory, Tensor], Requests[Tensor]]
    """From a trajectory and x_T, which it alone holds, to samples."""
    noise: Literal["always", "eta", "none"]
    """Whether it draws noise in each step but the last: never, or `eta`: unless eta is 0."""
    held: int
    """Images beside x that it holds while the network is evaluated, at most: earlier predictions,
    slopes."""
    evaluations: Callable[[int], int] = _one_per_step
    """From a number of steps to the evaluations of the network that they take."""


SAMPLERS: dict[str, Sampler] = {
    "ddpm": Sampler(ddpm, noise="always", held=0),
    "ddim": Sampler(ddim, noise="eta", held=0),
    "dpmpp_2m": Sampler(dpmpp_2m, noise="none", held=1),
    "dpmpp_2m_sde": Sampler(dpmpp_2m_sde, noise="always", held=1),
    "heun": Sampler(heun, noise="none", held=2, evaluations=_two_per_step_but_the_last),
}
"""By name; `superres.sampling.config.SamplerName` lists the same names."""


def evaluations(sampler: str, steps: int) -> int:
    """Return how often a sampler evaluates the network for one picture, without guidance."""
    return SAMPLERS[sampler].evaluations(steps)


def begin(sampler: str, trajectory: Trajectory, shape: Sequence[int]) -> Requests[Tensor]:
    """Return a sampler about to make images of a shape; x_T is the trajectory's first draw.

    Args:
        sampler: a name from `SAMPLERS`.
        trajectory: the steps to take.
        shape: (B, C, H, W).

    Raises:
        ValueError: an unknown sampler, or noise of another shape.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
    noise = [trajectory.draw()]
    if tuple(noise[0].shape) != tuple(shape):
        raise ValueError(f"the noise is {tuple(noise[0].shape)}, the images {tuple(shape)}")
    trajectory.diffusion.to(noise[0].device)
    row = SAMPLERS[sampler]
    if row.noise == "none" and trajectory.temperature != 1:
        # Elsewhere it scales what each step adds; here, the only noise there is.
        noise.append(noise.pop() * trajectory.temperature)
    # Handed over: the sampler alone holds it.
    return row.function(trajectory, noise.pop())


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
        steps: number of timesteps visited; `evaluations` says how often the network is evaluated.
            `linear` spacing takes all that `space_timesteps` does.
        spacing: how they are spread; see `superres.sampling.spacing.choose_timesteps`.
        eta: noise of `ddim`.
        temperature: factor on the noise added in each step; x_T keeps unit variance, but in
            samplers that add none, whose x_T it scales.
        clip_denoised: how predictions of x0 are limited.
        watch: called after every step.

    Raises:
        ValueError: an unknown sampler or spacing, steps it cannot give, noise of another shape.
    """
    kept = respaced(diffusion, steps, spacing)
    trajectory = Trajectory(kept, draw, eta, temperature, clip_denoised, watch)
    return drive(begin(sampler, trajectory, shape), denoiser)
