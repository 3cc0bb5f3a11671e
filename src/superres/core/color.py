"""Luma and chroma of RGB pixels (ITU-R BT.601), luma in the two ranges that are in use."""

from __future__ import annotations

import numpy as np

BT601 = (0.299, 0.587, 0.114)
"""Weights of R, G and B in full-range luma, as JPEG has it: 0..255 of 8-bit pixels."""
YCBCR = (BT601, (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))
"""Weights of R, G and B in full-range luma, Cb and Cr, as JPEG has them."""
STUDIO_WEIGHTS = np.array([65.481, 128.553, 24.966])
"""Weights of R, G and B in 0..1, in 8-bit levels, of luma that spans 16..235."""
STUDIO_BLACK = 16.0


def full_luma(image: np.ndarray) -> np.ndarray:
    """Return full-range luma, float32, H x W, in 8-bit levels, of RGB pixels, uint8, H x W x 3."""
    # a channel at a time lies together: single bytes are parted faster than floats
    grey, *others = np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32)
    grey *= np.float32(BT601[0])
    for channel, weight in zip(others, BT601[1:], strict=True):
        channel *= np.float32(weight)  # noqa: PLW2901 - in place
        grey += channel
    return np.asarray(grey)


def studio_luma(image: np.ndarray) -> np.ndarray:
    """Return luma in 16..235, float64, H x W, not rounded, of sRGB pixels, uint8, H x W x 3.

    The range of television and of MATLAB's `rgb2ycbcr`, which super-resolution papers measure in.
    """
    return np.asarray(STUDIO_BLACK + image.astype(np.float64) @ STUDIO_WEIGHTS / 255)


def exact_luma(image: np.ndarray) -> np.ndarray:
    """Return luma in 0..255, float64, H x W, of pixels, uint8, H x W x 3; greys as they are."""
    return image[:, :, 1] + (image.astype(np.float64) - image[:, :, 1:2]) @ np.array(BT601)


def colourless(image: np.ndarray) -> bool:
    """Whether all channels of pixels, H x W x 3, are equal."""
    return bool((image == image[:, :, :1]).all())
