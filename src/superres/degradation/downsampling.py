"""How a tile is made smaller before it is corrupted: a function for each way, and its row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from superres.degradation.imresize import imresize

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
    _check_blocks(images, scale)
    exact = np.uint16 if scale <= 16 else np.uint32  # the sum of a white block fits
    lines = images.reshape(-1, scale, width * channels)
    sums: np.ndarray = lines[:, 0].astype(exact)
    for line in range(1, scale):  # whole lines at a time; a reduction would go pixel by pixel
        sums += lines[:, line]
    columns = sums.reshape(-1, scale, channels)
    means = np.empty((len(columns), channels), np.float32)
    for channel in range(channels):  # so that the innermost loops run over pixels, not over three
        total: np.ndarray = columns[:, 0, channel]
        for column in range(1, scale):
            total = total + columns[:, column, channel]
        means[:, channel] = total
    means /= np.float32(255 * scale**2)  # both are whole: rounded once, as the exact mean
    return means.reshape(*others, height // scale, width // scale, channels)


def bicubic_downsample(images: np.ndarray, scale: int) -> np.ndarray:
    """Return what MATLAB's `imresize(image, 1 / scale)` does, rounded to 8 bits as there.

    Takes and returns what `area_downsample` does. Of the result, the two pixels next to an edge see
    the picture mirrored at it; the others see nothing beyond it.
    """
    return _imresized(images, scale, "bicubic")


def lanczos_downsample(images: np.ndarray, scale: int) -> np.ndarray:
    """Return what MATLAB's `imresize(image, 1 / scale, "lanczos3")` does, rounded to 8 bits.

    Takes and returns what `area_downsample` does; three pixels next to an edge see it.
    """
    return _imresized(images, scale, "lanczos3")


def nearest_downsample(images: np.ndarray, scale: int) -> np.ndarray:
    """Return the pixel in the middle of each block; of an even number, right of and below it.

    Takes and returns what `area_downsample` does.
    """
    _check_blocks(images, scale)
    middle = slice(scale // 2, None, scale)
    return _in_units(images[..., middle, middle, :])


def _imresized(images: np.ndarray, scale: int, method: str) -> np.ndarray:
    _check_blocks(images, scale)
    return _in_units(imresize(images, 1, scale, method))


def _in_units(images: np.ndarray) -> np.ndarray:
    return np.asarray(images / np.float32(255), np.float32)


def _check_blocks(images: np.ndarray, scale: int) -> None:
    height, width = images.shape[-3:-1]
    if height % scale or width % scale:
        raise ValueError(f"{height} x {width} pixels cannot be divided into blocks of {scale}")


DOWNSAMPLINGS: dict[str, Downsampling] = {
    "area": area_downsample,
    "bicubic": bicubic_downsample,
    "lanczos": lanczos_downsample,
    "nearest": nearest_downsample,
}
"""By name; `area` is the recipe's."""

REACH = {"area": 0, "bicubic": 2, "lanczos": 3, "nearest": 0}
"""Pixels of the input beside a tile's edge that depend on where the tile was cut."""
