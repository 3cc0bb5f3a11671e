"""Learning rate and averaging as functions of the step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from superres.params.train import LearningRateParams


def learning_rate(step: int, steps: int, params: LearningRateParams) -> float:
    """Return the learning rate of a step.

    Args:
        step: optimiser steps done, from 0.
        steps: steps of the whole training.
        params: warm-up and decay.
    """
    if step < params.warmup_steps:
        return params.peak * (step + 1) / params.warmup_steps
    if params.decay == "cosine":
        progress = (step - params.warmup_steps) / max(1, steps - params.warmup_steps)
        cosine = (1 + math.cos(math.pi * min(progress, 1.0))) / 2
        return params.peak * (params.final_fraction + (1 - params.final_fraction) * cosine)
    if params.decay == "step":
        return params.peak * 0.5 ** sum(step >= milestone for milestone in params.halve_at)
    return params.peak


def ema_decay(step: int, limit: float) -> float:
    """Return the average's decay after a step: short at first, so that the start is forgotten."""
    return min(limit, (1 + step) / (10 + step))


@torch.no_grad()
def update_average(average: list[Tensor], weights: list[Tensor], decay: float) -> None:
    """Move an exponential moving average towards the weights, in place."""
    torch._foreach_lerp_(average, weights, 1 - decay)
