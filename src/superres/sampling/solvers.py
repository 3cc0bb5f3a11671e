"""Solvers of second order for the diffusion's differential equations, for few evaluations.

All work on predictions of x0, which may be clipped, in the half log-SNR lambda as time. The last
step, to no noise at all, is the prediction itself: lambda has no end there.

Coefficients are Python floats from float64 tables: nothing is copied to or from the device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from superres.sampling.trajectory import Walk


def dpmpp_2m(walk: Walk, x: Tensor) -> Tensor:
    """DPM-Solver++(2M), deterministic (Lu et al. 2022, "DPM-Solver++", algorithm 2)."""
    previous = None
    for index in walk.indices:
        x0 = walk.predict_x0(x, index)
        x = _exponential_step(walk, x, _extrapolated(walk, index, x0, previous), index)
        previous = x0
        walk.report(index, x, x0)
        del x0
    return x


def dpmpp_2m_sde(walk: Walk, x: Tensor) -> Tensor:
    """SDE-DPM-Solver++(2M): the same with the noise of the stochastic equation (appendix C)."""
    previous = None
    for index in walk.indices:
        x0 = walk.predict_x0(x, index)
        aim = _extrapolated(walk, index, x0, previous)
        if index == 0:
            x = x0
        else:
            shrink = math.exp(-_stride(walk, index))
            x = walk.sigma[index - 1] / walk.sigma[index] * shrink * x
            x.add_(aim, alpha=walk.alpha[index - 1] * (1 - shrink**2))
            fresh = walk.sigma[index - 1] * math.sqrt(1 - shrink**2)
            x.add_(walk.draw(), alpha=walk.temperature * fresh)
        previous = x0
        walk.report(index, x, x0)
        del aim, x0
    return x


def heun(walk: Walk, x: Tensor) -> Tensor:
    """Heun's method on the probability flow (Karras et al. 2022, algorithm 1).

    In y = x / alpha with the noise s = sigma / alpha as time, dy/ds = (y - x0) / s. Two evaluations
    per step but the last, which ends at no noise.
    """
    ratio = [sigma / alpha for sigma, alpha in zip(walk.sigma, walk.alpha, strict=True)]
    for index in walk.indices:
        x0 = walk.predict_x0(x, index)
        if index == 0:
            x = x0
        else:
            now, then = ratio[index], ratio[index - 1]
            y = x / walk.alpha[index]
            slope = (y - x0).div_(now)
            x = torch.add(y, slope, alpha=then - now).mul_(walk.alpha[index - 1])
            del x0
            x0 = walk.predict_x0(x, index - 1)
            slope += (x / walk.alpha[index - 1]).sub_(x0).div_(then)
            x = y.add_(slope, alpha=(then - now) * 0.5).mul_(walk.alpha[index - 1])
            del y, slope
        walk.report(index, x, x0)
        del x0
    return x


def _stride(walk: Walk, index: int) -> float:
    """Return how far lambda rises in the step from an index."""
    return walk.log_snr[index - 1] - walk.log_snr[index]


def _extrapolated(walk: Walk, index: int, x0: Tensor, previous: Tensor | None) -> Tensor:
    """Return x0 half a step ahead, on the line through the last two predictions."""
    if previous is None or index == 0:
        return x0
    ahead = _stride(walk, index) / (2 * _stride(walk, index + 1))
    return torch.lerp(previous, x0, 1 + ahead)


def _exponential_step(walk: Walk, x: Tensor, aim: Tensor, index: int) -> Tensor:
    """Return x at the next index if x0 were `aim` all the way, exactly."""
    if index == 0:
        return aim
    stay = walk.sigma[index - 1] / walk.sigma[index]
    toward = walk.alpha[index - 1] * math.expm1(-_stride(walk, index))
    return (stay * x).sub_(aim, alpha=toward)
