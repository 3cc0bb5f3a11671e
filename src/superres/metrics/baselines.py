"""What the model is compared with: plain interpolation of the low-resolution input."""

from __future__ import annotations

import numpy as np
from PIL import Image

BASELINES = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Interpolations by name: Pillow's, on 8-bit values; its bicubic kernel has a = -0.5 (Keys)."""


def upsample(low: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """Return a picture enlarged by interpolation.

    Args:
        low: uint8, h x w x 3.
        size: (H, W) in pixels of the result.
        method: a key of `BASELINES`.

    Returns:
        uint8, H x W x 3.
    """
    height, width = size
    return np.asarray(Image.fromarray(low).resize((width, height), BASELINES[method]))
