"""Grain that a restored picture has and its original has not, which SWD can take for sharpness.

Tiles are uint8, H x W x 3, sRGB values as stored.
"""

from __future__ import annotations

import math

import numpy as np

from superres.core.color import YCBCR

ROUNDING = 20 / 12
"""Variance that rounding to whole levels alone gives to the Laplacian of a plane: its squared
weights sum up to 20, the error of rounding has a variance of 1/12."""
BLOCK = 8
"""Edge of the blocks that `smooth_roughness` looks at, in pixels."""
SMOOTH = 2.0
"""Levels that luma in a smooth block deviates by, at most."""


def luma_grain(restored: np.ndarray, original: np.ndarray) -> float:
    """Return the energy of luma's Laplacian over the original's, in dB: 0 is right.

    Negative where fine detail is missing, positive where there is too much of it.
    """
    return _energy_ratio(restored, original, slice(0, 1))


def color_grain(restored: np.ndarray, original: np.ndarray) -> float:
    """Return the same of the Laplacians of Cb and Cr together, in dB."""
    return _energy_ratio(restored, original, slice(1, 3))


def smooth_roughness(restored: np.ndarray, original: np.ndarray) -> float:
    """Return how much rougher than the original its smooth parts are, in 8-bit levels.

    The mean, over blocks of 8 x 8 px whose original's luma deviates by less than 2 levels, of
    restored minus original deviation; NaN where there is no such block.
    """
    ours, theirs = (_block_deviations(_planes(tile)[0]) for tile in (restored, original))
    smooth = theirs < SMOOTH
    return float((ours[smooth] - theirs[smooth]).mean()) if smooth.any() else math.nan


def _energy_ratio(restored: np.ndarray, original: np.ndarray, planes: slice) -> float:
    if restored.shape != original.shape:
        raise ValueError(f"shapes differ: {restored.shape} and {original.shape}")
    # Two flat tiles differ by rounding alone, and that is no grain.
    floor = ROUNDING * float(np.square(YCBCR[planes]).sum())
    ours, theirs = (_energy(_planes(tile)[planes]) + floor for tile in (restored, original))
    return 10 * math.log10(ours / theirs)


def _planes(tile: np.ndarray) -> np.ndarray:
    """Return Y, Cb and Cr, 3 x H x W, in levels."""
    return np.einsum("pc,hwc->phw", np.array(YCBCR), tile.astype(np.float64))


def _energy(planes: np.ndarray) -> float:
    """Return the summed mean square of planes' Laplacians, where all four neighbours exist."""
    inner = planes[:, 1:-1, 1:-1]
    curved = planes[:, :-2, 1:-1] + planes[:, 2:, 1:-1] + planes[:, 1:-1, :-2]
    curved = curved + planes[:, 1:-1, 2:] - 4 * inner
    return float(np.square(curved).mean(axis=(1, 2)).sum()) if inner.size else 0.0


def _block_deviations(plane: np.ndarray) -> np.ndarray:
    rows, columns = (edge // BLOCK for edge in plane.shape)
    whole = plane[: rows * BLOCK, : columns * BLOCK]
    return whole.reshape(rows, BLOCK, columns, BLOCK).std(axis=(1, 3))
