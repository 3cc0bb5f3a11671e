"""Blur kernels, normalised to a sum of 1.

Two-dimensional ones are square and odd; angles are in radians.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import j1


def gaussian_kernel(sigma: float) -> np.ndarray:
    """Return a one-dimensional Gaussian of OpenCV's width for float images; 0 is the identity.

    OpenCV's `GaussianBlur` with a size of 0 takes `round(8 * sigma + 1)`, made odd.
    """
    size = round(8 * sigma + 1) | 1
    if size == 1:
        return np.ones(1)
    weights = np.exp(_negative_squares(size) / (2 * sigma**2))
    weights /= weights.sum()
    return weights


def anisotropic_kernel(sigma: float, ratio: float, angle: float, shape: float = 1.0) -> np.ndarray:
    """Return a generalised Gaussian with elliptic contours: exp(-(d^2 / 2)^shape).

    Source: Liu et al. 2020 ("Estimating generalized Gaussian blur kernels"), as in Real-ESRGAN.

    Args:
        sigma: deviation along the ellipse's long axis, in pixels; 0 is the identity.
        ratio: short axis over long axis, in (0, 1].
        angle: of the long axis.
        shape: 1 is a Gaussian, below it has a peak and long tails, above a plateau.
    """
    if sigma * ratio < 0.01:
        return np.ones((1, 1))
    x, y = _grid(np.ceil(4 * sigma / min(shape, 1.0)))
    along = (x * np.cos(angle) + y * np.sin(angle)) / sigma
    across = (y * np.cos(angle) - x * np.sin(angle)) / (sigma * ratio)
    weights = np.exp(-(((along**2 + across**2) / 2) ** shape))
    return weights / weights.sum()


def motion_kernel(length: float, angle: float) -> np.ndarray:
    """Return a straight stroke through the centre, its ends and sides as fractions of pixels.

    Args:
        length: in pixels; 0 is the identity.
        angle: of the stroke.
    """
    if length == 0:
        return np.ones((1, 1))
    x, y = _grid(np.ceil(length / 2) + 1)
    along = np.abs(x * np.cos(angle) + y * np.sin(angle))
    across = np.abs(y * np.cos(angle) - x * np.sin(angle))
    weights = np.clip(1 - across, 0, 1) * np.clip(length / 2 + 1 - along, 0, 1)
    return weights / weights.sum()


def sinc_kernel(cutoff: float, radius: int = 10) -> np.ndarray:
    """Return a circular low-pass filter, which rings beside edges.

    Source: Wang et al. 2021 ("Real-ESRGAN"), equation 6.

    Args:
        cutoff: angular frequency in radians per pixel, in (0, pi].
        radius: where the filter is cut off, in pixels.
    """
    x, y = _grid(radius)
    distance = np.hypot(x, y)
    distance[radius, radius] = 1  # the limit is set below
    weights = cutoff * j1(cutoff * distance) / (2 * np.pi * distance)
    weights[radius, radius] = cutoff**2 / (4 * np.pi)
    return weights / weights.sum()


@lru_cache(maxsize=64)
def _negative_squares(size: int) -> np.ndarray:
    """Return minus the squared distances from the centre of an odd number of pixels."""
    offsets = np.arange(size, dtype=np.float64) - size // 2
    return -(offsets**2)


def _grid(radius: float) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.arange(-int(radius), int(radius) + 1, dtype=np.float64)
    x, y = np.meshgrid(offsets, offsets)
    return x, y
