"""Drawing other sets of tiles that might have been: photographs first, then tiles.

Tiles of one photograph resemble each other, so tiles alone must not be drawn: that would promise
more than is known. Each resample draws as many photographs as there are, with replacement, then of
each as many tiles as it has (Davison and Hinkley 1997, section 3.8).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from superres.core.seeding import rng
from superres.metrics.config import BootstrapParams

LEVEL = 0.95
"""Share of the resamples that an interval holds."""


def resamples(photographs: np.ndarray, params: BootstrapParams) -> Iterator[np.ndarray]:
    """Yield the rows of each resample; a row may stand in it several times or not at all.

    Args:
        photographs: name of each tile's photograph, N.
        params: resamples and seed; equal ones draw equally.
    """
    _, owner = np.unique(photographs, return_inverse=True)
    groups = [np.flatnonzero(owner == number) for number in range(owner.max() + 1)]
    generator = rng(params.seed, "bootstrap")
    for _ in range(params.resamples):
        drawn = [groups[number] for number in generator.integers(0, len(groups), len(groups))]
        yield np.concatenate([g[generator.integers(0, len(g), len(g))] for g in drawn])


def resampled_means(
    values: np.ndarray, photographs: np.ndarray, params: BootstrapParams
) -> np.ndarray:
    """Return the columns' means over each resample of the rows: R x C.

    Args:
        values: N x C, a row per tile.
        photographs: name of each tile's photograph, N.
        params: resamples and seed.
    """
    means = np.empty((params.resamples, values.shape[1]))
    for row, tiles in zip(means, resamples(photographs, params), strict=True):
        row[:] = np.bincount(tiles, minlength=len(values)) @ values / len(tiles)
    return means


def interval(values: np.ndarray) -> np.ndarray:
    """Return the ends of the columns' 95 % intervals: 2 x C of resampled figures, R x C."""
    return np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
