"""Averages of the weights: kept while training, and made of any length afterwards.

The classic average forgets at one pace. The power-function averages of Karras et al. 2024
("Analyzing and improving the training dynamics of diffusion models", section 3 and appendix C)
forget ever more slowly: seen from step t, a step tau counts as tau^gamma, so that the profile keeps
its shape relative to the training's length. Snapshots of two of them at several steps can be
combined to the average of any other width, and the length be chosen when training is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.state_dicts import save_tensors
from superres.training.config import AveragingParams

SNAPSHOTS = "averages.safetensors"
"""The power-function averages in a checkpoint's folder: `{width}/{weight's name}`."""
CLASSIC = "classic"


class Averages:
    """Running averages of a training's weights.

    Args:
        weights: by name; copied as the averages' start.
        params: which averages.

    Attributes:
        classic: the exponential moving average by weight's name, on the weights' device.
    """

    def __init__(self, weights: Mapping[str, Tensor], params: AveragingParams) -> None:
        self._params = params
        self._names = list(weights)
        self.classic = _copies(weights)
        self._power = {width: _copies(weights) for width in params.power}

    @torch.no_grad()
    def update(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Take in the weights after optimiser step `step`, counted from 1; all in place."""
        values = [weights[name] for name in self._names]
        _move(self.classic, values, ema_decay(step, self._params.ema))
        for width, average in self._power.items():
            _move(average, values, power_decay(step, exponent(width)))

    def tensors(self) -> dict[str, Tensor]:
        """Return all that resuming needs, by name."""
        named = {f"{CLASSIC}/{name}": value for name, value in self.classic.items()}
        for width, average in self._power.items():
            named |= {_key(width, name): value for name, value in average.items()}
        return named

    @torch.no_grad()
    def resume(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from what `tensors` returned."""
        for name, value in self.tensors().items():
            value.copy_(tensors[name])

    def save_snapshots(self, folder: Path, step: int) -> None:
        """Write the power-function averages after `step` into a folder; nothing if there are none.

        Args:
            folder: a checkpoint's; it is part of something that is written all or nothing.
            step: optimiser steps done.
        """
        if self._power:
            named = {
                _key(width, name): value.detach().cpu().contiguous()
                for width, average in self._power.items()
                for name, value in average.items()
            }
            save_tensors(named, folder / SNAPSHOTS, metadata={"step": str(step)})


class Snapshot(NamedTuple):
    """One average at one step: where it lies, and its profile."""

    path: Path
    step: int
    width: float


def find_snapshots(folder: str | Path) -> list[Snapshot]:
    """Return the snapshots of a checkpoint's folder, by width; none if training kept none.

    Raises:
        SuperresError: a damaged file.
    """
    path = Path(folder) / SNAPSHOTS
    if not path.is_file():
        return []
    try:
        with safe_open(path, "pt") as file:
            widths = {float(key.partition("/")[0]) for key in file.keys()}  # noqa: SIM118
            step = int(file.metadata()["step"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise SuperresError(f"{path}: not snapshots of averages: {error}") from error
    return [Snapshot(path, step, width) for width in sorted(widths)]


def rebuild(snapshots: Sequence[Snapshot], step: int, width: float) -> dict[str, Tensor]:
    """Return the average of a width as it would have been after a step.

    Args:
        snapshots: of two widths or more at several steps; those after `step` are left out.
        step: when the average ends.
        width: standard deviation of its profile, relative to `step`.

    Returns:
        Weights by name, float32, on the CPU.

    Raises:
        SuperresError: no snapshot up to the step.
    """
    usable = [snapshot for snapshot in snapshots if snapshot.step <= step]
    if not usable:
        raise SuperresError(f"no snapshot of an average up to step {step}")
    shares = combination(
        [(snapshot.step, exponent(snapshot.width)) for snapshot in usable],
        (step, exponent(width)),
    )
    total: dict[str, Tensor] = {}
    for snapshot, share in zip(usable, shares, strict=True):
        for name, value in _read(snapshot).items():
            total.setdefault(name, torch.zeros_like(value)).add_(value, alpha=float(share))
    return total


def combination(profiles: Sequence[tuple[float, float]], wanted: tuple[float, float]) -> np.ndarray:
    """Return the shares of profiles whose sum comes nearest to a wanted one, in least squares.

    A profile (t, gamma) is (gamma + 1) tau^gamma / t^(gamma + 1) for tau in [0, t], else 0. The
    shares sum to 1, so that weights which never change come out as they are.

    Returns:
        float64, one number per profile, positive or negative.
    """
    gram = np.array([[_inner(one, other) for other in profiles] for one in profiles])
    right = np.array([_inner(one, wanted) for one in profiles])
    # Lagrange's system of the constraint; least squares, since profiles may be nearly dependent.
    ones = np.ones((len(profiles), 1))
    system = np.block([[gram, ones], [ones.T, np.zeros((1, 1))]])
    scale = 1 / np.sqrt(np.append(np.diag(gram), 1))  # late profiles are flat, early ones steep
    solved, *_ = np.linalg.lstsq(
        scale[:, None] * system * scale, scale * np.append(right, 1), rcond=1e-13
    )
    return (scale * solved)[:-1]


def exponent(width: float) -> float:
    """Return the power gamma of a profile of a relative width (Karras et al. 2024, equation 126).

    The width is the profile's standard deviation over its length,
    sqrt(gamma + 1) / ((gamma + 2) sqrt(gamma + 3)), which falls from 0.289 at gamma = 0.
    """
    inverse = width**-2
    roots = np.roots([1, 7, 16 - inverse, 12 - inverse])
    return float(roots[np.abs(roots.imag) < 1e-9].real.max())


def ema_decay(step: int, limit: float) -> float:
    """Return the classic average's decay after a step: short at first, to forget the start."""
    return min(limit, (1 + step) / (10 + step))


def power_decay(step: int, gamma: float) -> float:
    """Return the decay that makes a power-function average at a step, counted from 1."""
    return (1 - 1 / step) ** (gamma + 1)


def _inner(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the integral of the product of two profiles."""
    (t, gamma), (u, delta) = one, other
    first = min(t, u)
    overlap = (first / t) ** gamma * (first / u) ** delta * first / (t * u)
    return (gamma + 1) * (delta + 1) / (gamma + delta + 1) * overlap


def _move(average: Mapping[str, Tensor], weights: list[Tensor], decay: float) -> None:
    torch._foreach_lerp_(list(average.values()), weights, 1 - decay)


def _copies(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in weights.items()}


def _key(width: float, name: str) -> str:
    return f"{width}/{name}"


def _read(snapshot: Snapshot) -> dict[str, Tensor]:
    prefix = _key(snapshot.width, "")
    with safe_open(snapshot.path, "pt") as file:
        names = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118
        return {name.removeprefix(prefix): file.get_tensor(name) for name in names}
