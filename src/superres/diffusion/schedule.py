"""Noise schedules, and the choice of timesteps for sampling in fewer steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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


def space_timesteps(timesteps: int, spacing: int | str | Sequence[int]) -> list[int]:
    """Return the timesteps kept when sampling in fewer steps, sorted, without repeats.

    Args:
        timesteps: steps of the full process.
        spacing: a number of steps (`50`), numbers for equal sections of the process
            (`"10,15,25"` or a sequence), or `"ddim50"` for the integer stride of the DDIM paper.

    The reference (Improved DDPM) accumulates a floating-point stride and rounds half to even;
    this does the same, since `round(i * stride)` would choose other steps.

    Raises:
        ValueError: the spacing cannot be met; the message names counts that would work.
    """
    if isinstance(spacing, str) and spacing.startswith("ddim"):
        return _integer_stride(timesteps, _count(spacing.removeprefix("ddim"), spacing))
    if isinstance(spacing, str):
        counts = [_count(part, spacing) for part in spacing.split(",")]
    elif isinstance(spacing, int):
        counts = [spacing]
    else:
        counts = [int(count) for count in spacing]
    if not counts or min(counts) < 0 or sum(counts) == 0:
        raise ValueError(f"spacing must be positive numbers of steps, got {spacing!r}")

    kept: set[int] = set()
    small, larger_sections = divmod(timesteps, len(counts))
    start = 0
    for section, count in enumerate(counts):
        size = small + (section < larger_sections)
        if count > size:
            raise ValueError(
                f"cannot take {count} steps from a section of {size} "
                f"({timesteps} timesteps in {len(counts)} sections): at most {size} would work"
            )
        stride = (size - 1) / (count - 1) if count > 1 else 1.0
        position = 0.0
        for _ in range(count):
            kept.add(start + round(position))
            position += stride
        start += size
    return sorted(kept)


def _integer_stride(timesteps: int, count: int) -> list[int]:
    possible = {math.ceil(timesteps / stride): stride for stride in range(timesteps, 0, -1)}
    if count not in possible:
        below = max((c for c in possible if c < count), default=None)
        above = min((c for c in possible if c > count), default=None)
        nearest = " or ".join(str(c) for c in (below, above) if c is not None)
        raise ValueError(
            f"no integer stride gives {count} of {timesteps} timesteps: {nearest} would work"
        )
    return list(range(0, timesteps, possible[count]))


def _count(text: str, spacing: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f"spacing must be like 50, '10,15,25' or 'ddim50', got {spacing!r}"
        ) from None
