"""PSNR and SSIM as tables of super-resolution papers have them: MATLAB's luma, border left out."""

from __future__ import annotations

import numpy as np

from superres.core.color import full_luma, studio_luma
from superres.core.errors import SuperresError
from superres.metrics.fidelity import SSIM_WINDOW, psnr, structure


def is_grey(picture: np.ndarray) -> bool:
    """Return whether a picture (H x W x 3) has no colour: its channels are equal."""
    return bool((picture == picture[:, :, :1]).all())


def table_luma(picture: np.ndarray, grey: bool) -> np.ndarray:
    """Return luma of 8 bits, uint8, H x W.

    Args:
        picture: uint8, H x W x 3.
        grey: whether it belongs to an original without colour, which is its own luma (0..255), as
            MATLAB's scripts have it. Others get `rgb2ycbcr`'s luma (16..235), rounded as there.
    """
    levels = full_luma(picture) if grey else studio_luma(picture)
    return np.floor(levels + 0.5).astype(np.uint8)


def table_figures(luma: np.ndarray, original: np.ndarray, border: int) -> tuple[float, float]:
    """Return PSNR in dB, infinite for equal pictures, and SSIM of luma without a border.

    Args:
        luma: of the restored picture, uint8, H x W.
        original: the original's, of the same shape.
        border: pixels left out at each edge; papers take the scale.

    Raises:
        SuperresError: less than SSIM's window would be left.
    """
    height, width = original.shape
    if min(height, width) - 2 * border < SSIM_WINDOW:
        raise SuperresError(
            f"{width} x {height} pixels; SSIM needs {SSIM_WINDOW} x {SSIM_WINDOW} within a border "
            f"of {border}"
        )
    inside = slice(border, height - border), slice(border, width - border)
    return psnr(luma[inside], original[inside]), structure(luma[inside], original[inside], None)
