"""Which timesteps are kept when sampling in fewer steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from superres.core.errors import SuperresError
from superres.diffusion.process import GaussianDiffusion

Spacing = int | str | Sequence[int]
"""A number of steps (`50`), numbers for sections (`"10,15,25"`), or `"ddim50"`."""


def space_timesteps(timesteps: int, spacing: Spacing) -> list[int]:
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


def _quadratic(alphas_cumprod: np.ndarray, steps: int) -> np.ndarray:
    # Song et al. 2021 (DDIM), appendix D.2: denser where there is little noise.
    return np.linspace(0, math.sqrt(len(alphas_cumprod) - 1), steps) ** 2


def _trailing(alphas_cumprod: np.ndarray, steps: int) -> np.ndarray:
    # Lin et al. 2024, table 2: even steps counted from the noisiest, down to one short of clean.
    timesteps = len(alphas_cumprod)
    return np.arange(1, steps + 1) * (timesteps / steps) - 1


def _karras(alphas_cumprod: np.ndarray, steps: int, rho: float = 7.0) -> np.ndarray:
    # Karras et al. 2022, equation 5, in the ratio of noise to signal; then the nearest timesteps.
    log_ratio = 0.5 * (np.log1p(-alphas_cumprod) - np.log(alphas_cumprod))
    roots = np.exp(log_ratio[[0, -1]] / rho)
    wanted = np.log(np.linspace(roots[0], roots[1], steps) ** rho)
    return np.interp(wanted, log_ratio, np.arange(len(alphas_cumprod)))


def _angle(alphas_cumprod: np.ndarray, steps: int) -> np.ndarray:
    # Salimans & Ho 2022, appendix D: even steps in the angle whose cosine is the signal's share.
    angles = np.arccos(np.sqrt(alphas_cumprod))
    return np.interp(
        np.linspace(angles[0], angles[-1], steps), angles, np.arange(len(alphas_cumprod))
    )


def _trailing_angle(alphas_cumprod: np.ndarray, steps: int) -> np.ndarray:
    # Even in the angle as `angle` is, but down to one step short of clean as `trailing` is: a last
    # evaluation where nothing is noise would change nothing.
    angles = np.arccos(np.sqrt(alphas_cumprod))
    return np.interp(
        angles[-1] * np.arange(1, steps + 1) / steps, angles, np.arange(len(alphas_cumprod))
    )


SPACINGS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "quadratic": _quadratic,
    "trailing": _trailing,
    "karras": _karras,
    "angle": _angle,
    "trailing_angle": _trailing_angle,
}
"""Beside `linear`, which is `space_timesteps`."""


def choose_timesteps(
    alphas_cumprod: np.ndarray, steps: Spacing, spacing: str = "linear"
) -> list[int]:
    """Return the timesteps that a sampler visits, sorted, without repeats.

    Args:
        alphas_cumprod: signal's share of the variance at each timestep, (T,), falling.
        steps: how many; with `linear` anything that `space_timesteps` takes.
        spacing: `linear` (the reference's) or a name from `SPACINGS`. All but linear sections and
            strides begin at the noisiest timestep; so does a single step, where `space_timesteps`
            gives the cleanest and sampling from noise would have no meaning.

    Raises:
        ValueError: an unknown spacing, or a number of steps that it cannot give.
    """
    timesteps = len(alphas_cumprod)
    if spacing == "linear":
        kept = space_timesteps(timesteps, steps)
        return kept if len(kept) > 1 else [timesteps - 1]
    if spacing not in SPACINGS:
        names = ", ".join(["linear", *SPACINGS])
        raise ValueError(f"spacing must be one of {names}, got {spacing!r}")
    if not isinstance(steps, int) or not 1 <= steps <= timesteps:
        raise ValueError(
            f"{spacing} spacing takes a number of steps from 1 to {timesteps}, got {steps!r}"
        )
    if steps == 1:
        return [timesteps - 1]
    return _distinct(SPACINGS[spacing](alphas_cumprod, steps).round().astype(int), timesteps)


def respaced(
    diffusion: GaussianDiffusion, steps: Spacing, spacing: str = "linear"
) -> GaussianDiffusion:
    """Return the process over fewer timesteps with the same marginals.

    The betas are re-derived so that each kept step has its original cumulative alpha.

    Args:
        diffusion: the full process.
        steps: how many timesteps to keep.
        spacing: how they are spread; see `choose_timesteps`.

    Raises:
        ValueError: an unknown spacing, or a number of steps that it cannot give.
    """
    kept = choose_timesteps(diffusion.alphas_cumprod, steps, spacing)
    cumulative = diffusion.alphas_cumprod[kept]
    before = np.concatenate([[1.0], cumulative[:-1]])
    return GaussianDiffusion(
        1 - cumulative / before,
        diffusion.prediction,
        diffusion.variance,
        [diffusion.timestep_map[step] for step in kept],
        diffusion.model_timesteps_scale,
    )


def check_steps(option: str, steps: int, diffusion: GaussianDiffusion) -> None:
    """Refuse more steps than a model has timesteps, or none.

    Args:
        option: what the user calls the number of steps.
        steps: timesteps to be visited.
        diffusion: the process that the model was trained on.

    Raises:
        SuperresError: naming option, value and what is allowed.
    """
    if not 1 <= steps <= diffusion.timesteps:
        raise SuperresError(
            f"{option}: must be between 1 and {diffusion.timesteps}, the model's timesteps, "
            f"got {steps}"
        )


def _distinct(wanted: np.ndarray, timesteps: int) -> list[int]:
    """Return rising timesteps as moved up, then down, until no two are the same."""
    places = np.arange(len(wanted))
    risen = np.maximum.accumulate(wanted - places) + places
    return np.minimum(risen, timesteps - len(wanted) + places).tolist()


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
