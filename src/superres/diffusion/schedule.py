"""Noise schedules: how much noise each timestep adds."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

MAX_BETA = 0.999


def _linear(timesteps: int) -> np.ndarray:
    # Ho et al. 2020 used 1e-4 to 0.02 for 1000 steps; the ends scale with the number of steps.
    scale = 1000 / timesteps
    return np.linspace(scale * 1e-4, scale * 0.02, timesteps, dtype=np.float64)


def _cosine(timesteps: int) -> np.ndarray:
    # Nichol & Dhariwal 2021, equation 17.
    def alpha_bar(progress: float) -> float:
        return math.cos((progress + 0.008) / 1.008 * math.pi / 2) ** 2

    edges = [alpha_bar(i / timesteps) for i in range(timesteps + 1)]
    betas = [min(1 - after / before, MAX_BETA) for before, after in pairwise(edges)]
    return np.array(betas, dtype=np.float64)


SCHEDULES: dict[str, Callable[[int], np.ndarray]] = {"linear": _linear, "cosine": _cosine}


def make_betas(schedule: str, timesteps: int) -> np.ndarray:
    """Return the variances added at each step, float64, shape (timesteps,), each in (0, 1).

    Args:
        schedule: `linear` (Ho et al. 2020) or `cosine` (Nichol & Dhariwal 2021).
        timesteps: number of diffusion steps, at least 1 (`linear`: at least 21, since its last
            beta is 20 / timesteps).

    Raises:
        ValueError: an unknown schedule, or too few steps for it.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
    if timesteps < 1:
        raise ValueError(f"timesteps must be at least 1, got {timesteps}")
    if schedule == "linear" and timesteps <= 20:
        raise ValueError(f"the linear schedule needs at least 21 timesteps, got {timesteps}")
    return SCHEDULES[schedule](timesteps)
