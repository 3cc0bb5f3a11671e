"""How a tile is made smaller before it is corrupted: a function for each way, and its row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Downsampling = Callable[[np.ndarray, int], np.ndarray]
"""Images (uint8, ... x H x W x 3) and a scale that divides H and W, to float32 in [0, 1]."""


def area_downsample(images: np.ndarray, scale: int) -> np.ndarray:
    """Return the mean of each block of `scale` x `scale` pixels.

    Args:
        images: uint8, any number of axes, then H x W x 3; `scale` divides H and W.
        scale: a positive whole number; 1 only converts.

    Returns:
        float32, ... x H/scale x W/scale x 3, in [0, 1].
    """
    *others, height, width, channels = images.shape
    if height % scale or width % scale:
        raise ValueError(f"{height} x {width} pixels cannot be divided into blocks of {scale}")
    exact = np.uint16 if scale <= 16 else np.uint32  # the sum of a white block fits
    lines = images.reshape(-1, scale, width * channels)
    columns = lines.sum(axis=1, dtype=exact).reshape(-1, width // scale, scale, channels)
    means = np.empty((len(lines), width // scale, channels), np.float32)
    for channel in range(channels):  # so that the innermost loops run over pixels, not over three
        total = columns[:, :, 0, channel]
        for column in range(1, scale):
            total = total + columns[:, :, column, channel]
        np.divide(total, np.float64(255 * scale**2), out=means[:, :, channel], casting="same_kind")
    return means.reshape(*others, height // scale, width // scale, channels)


DOWNSAMPLINGS: dict[str, Downsampling] = {"area": area_downsample}
"""By name; `area`, the recipe's, is what every model was trained on."""
