"""Resizing as MATLAB's `imresize` does, which the inputs of super-resolution papers are made with.

From its documentation: every dimension is interpolated with a kernel (`bicubic` is that of Keys
1981, a = -1/2; `lanczos3` a windowed sinc); where a picture is made smaller, antialiasing widens
the kernel by the scale; weights add up to 1; pixels beyond the border are those mirrored at it, the
outermost repeated. Pictures of 8 bits are rounded, halves up, after each dimension, rows before
columns, since each dimension's result has the class of its input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

Kernel = Callable[[np.ndarray], np.ndarray]


class _Method(NamedTuple):
    kernel: Kernel
    width: int
    """Of its support, in pixels of the larger spacing."""


class _Taps(NamedTuple):
    """What a dimension's pixels are made of: (pixels made, taps) each."""

    places: np.ndarray
    weights: np.ndarray


def imresize(images: np.ndarray, enlarged: int, reduced: int, method: str) -> np.ndarray:
    """Return pictures with edges `enlarged / reduced` times as long.

    Args:
        images: uint8, or float64, which is neither rounded nor clipped; ... x H x W x C.
        enlarged: at least 1.
        reduced: at least 1; divides `enlarged` times H, and W.
        method: a key of `METHODS`.

    Returns:
        Of the same type, ... x H' x W' x C.
    """
    for axis in (images.ndim - 3, images.ndim - 2):
        length = images.shape[axis]
        if length * enlarged % reduced:
            raise ValueError(f"{length} pixels cannot be resized by {enlarged} / {reduced}")
        images = _along(images, axis, _taps(length, enlarged, reduced, method))
    return images


def _along(images: np.ndarray, axis: int, taps: _Taps) -> np.ndarray:
    shape = [1] * images.ndim
    shape[axis] = -1
    total: np.ndarray | float = 0.0
    for places, weights in zip(taps.places.T, taps.weights.T, strict=True):
        total = total + weights.reshape(shape) * np.take(images, places, axis)
    if images.dtype != np.uint8:
        return np.asarray(total)
    return np.floor(np.clip(total, 0, 255) + 0.5).astype(np.uint8)


@lru_cache(maxsize=64)
def _taps(length: int, enlarged: int, reduced: int, method: str) -> _Taps:
    kernel, support = METHODS[method]
    scale = enlarged / reduced
    stretch = max(1.0, 1 / scale)
    # Positions in the input's pixels, the first of which is at 0.
    centres = (np.arange(length * enlarged // reduced) + 0.5) / scale - 0.5
    half = support * stretch / 2
    first = np.floor(centres - half).astype(int)
    places = first[:, None] + np.arange(math.ceil(2 * half) + 2)
    weights = kernel((centres[:, None] - places) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    used = weights.any(axis=0)
    places = places[:, used] % (2 * length)
    return _Taps(np.minimum(places, 2 * length - 1 - places), weights[:, used])


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _lanczos3(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


METHODS: dict[str, _Method] = {"bicubic": _Method(_cubic, 4), "lanczos3": _Method(_lanczos3, 6)}
"""By MATLAB's names."""
