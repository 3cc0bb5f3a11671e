"""How close one restored tile is to its original: PSNR, SSIM, consistency with the input, colour.

Tiles are uint8, H x W x 3, sRGB values as stored, in 0..255. Every figure is a float64 of one tile;
figures of a set are means over its tiles.
"""

from __future__ import annotations

import math

import numpy as np

from superres.core.color import colourless, exact_luma, studio_luma
from superres.core.errors import SuperresError

PEAK = 255
SSIM_WINDOW = 11
"""Edge in pixels of the window that a Gaussian of deviation 1.5 gets when cut at 3.5 deviations."""


def crop(tile: np.ndarray, border: int) -> np.ndarray:
    """Return the tile (H x W x C) without `border` pixels at each edge.

    Raises:
        SuperresError: nothing would be left.
    """
    height, width = tile.shape[:2]
    if 2 * border >= min(height, width):
        raise SuperresError(
            f"evaluate.border_crop: {border} pixels at each edge leave nothing of a tile of "
            f"{width} x {height}"
        )
    return tile[border : height - border, border : width - border]


def psnr(restored: np.ndarray, original: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio over all pixels and channels.

    10 log10(255^2 / mean squared error), in dB; infinite for equal images.
    """
    _check_shapes(restored, original)
    # Not scikit-image's, whose module brings scipy.stats: a second at every start of a stage.
    error = np.square(original.astype(np.float64) - restored).mean()
    return math.inf if error == 0 else float(10 * np.log10(PEAK**2 / error))


def psnr_y(restored: np.ndarray, original: np.ndarray, rounded: bool = False) -> float:
    """Return PSNR of BT.601 luma, in dB, infinite for equal luma; see `luma_pair`.

    As super-resolution papers report it: luma spans 16..235, yet the peak stays 255.
    """
    return psnr(*luma_pair(restored, original, rounded))


def luma_pair(
    restored: np.ndarray, original: np.ndarray, rounded: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the luma of both, float64, H x W, in 8-bit levels.

    It spans 16..235; where the original is grey, its luma are its greys, in 0..255, as they are for
    papers, which convert colour alone. Of a restored picture that has colours all the same, luma
    then spans 0..255 too.

    Args:
        restored: uint8, H x W x 3.
        original: the same.
        rounded: to 8 bits, as MATLAB's `rgb2ycbcr` of an 8-bit picture is; that moves PSNR by
            hundredths of a dB.
    """
    luma = exact_luma if colourless(original) else studio_luma
    both = luma(restored), luma(original)
    return (np.rint(both[0]), np.rint(both[1])) if rounded else both


def ssim(restored: np.ndarray, original: np.ndarray) -> float:
    """Return the mean structural similarity over pixels and the three channels, in [-1, 1].

    Wang et al. 2004 (IEEE TIP 13:4): Gaussian window of deviation 1.5 px (11 x 11), biased
    covariances, K1 = 0.01, K2 = 0.03; windows that reach over the edge are left out.

    Raises:
        SuperresError: the images are smaller than the window.
    """
    return structure(restored, original, channel_axis=2)


def ssim_y(restored: np.ndarray, original: np.ndarray, rounded: bool = False) -> float:
    """Return the mean structural similarity of BT.601 luma, in [-1, 1].

    See `ssim` and `luma_pair`. As super-resolution papers report it: luma spans 16..235, and the
    stabilising terms still belong to a range of 255.

    Raises:
        SuperresError: the images are smaller than the window.
    """
    return structure(*luma_pair(restored, original, rounded), channel_axis=None)


def structure(restored: np.ndarray, original: np.ndarray, channel_axis: int | None) -> float:
    """Return `ssim` of pictures whose channels are at an axis, or of planes (None), of 0..255.

    Raises:
        SuperresError: the images are smaller than the window.
    """
    _check_shapes(restored, original)
    if min(original.shape[:2]) < SSIM_WINDOW:
        raise SuperresError(
            f"SSIM needs at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels after evaluate.border_crop, "
            f"got {original.shape[1]} x {original.shape[0]}"
        )
    # Here, since it takes half a second that reading the catalog of figures need not spend.
    from skimage.metrics import structural_similarity  # noqa: PLC0415

    return float(
        structural_similarity(
            original,
            restored,
            data_range=PEAK,
            channel_axis=channel_axis,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def color_shift(restored: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Return the mean of restored minus original per channel: float64, 3, in 8-bit levels.

    Positive where the restored tile has too much of a colour. Signed, so that errors without a
    direction cancel and a drift of hue stands out.
    """
    _check_shapes(restored, original)
    difference = restored.astype(np.float64) - original
    return np.asarray(difference.mean(axis=(0, 1)))


def channel_shift(restored: np.ndarray, original: np.ndarray, channel: int) -> float:
    """Return `color_shift` of one channel (0 to 2), in 8-bit levels."""
    return float(color_shift(restored, original)[channel])


def mean_color_shift(restored: np.ndarray, original: np.ndarray) -> float:
    """Return the mean of `color_shift` over the three channels, in 8-bit levels."""
    return float(color_shift(restored, original).mean())


def _check_shapes(restored: np.ndarray, original: np.ndarray) -> None:
    if restored.shape != original.shape:
        raise ValueError(f"shapes differ: {restored.shape} and {original.shape}")
