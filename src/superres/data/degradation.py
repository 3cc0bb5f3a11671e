"""How a low-resolution input is made of a tile: area downsampling, then a chain of corruptions.

The corruptions are those of DL-Art-School, held to its numbers by golden vectors, with two
departures: pixels become 8 bits by rounding (it truncates, and lets values beyond white wrap
around), and JPEG quality is computed as over exact numbers (it takes `int` of a float, so that
strength 0.8 over a range of 20 gives 3 instead of 4).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from PIL import Image
from scipy.ndimage import correlate1d

from superres.data.chain import Degradation
from superres.errors import SuperresError

Corruption = Callable[[np.ndarray, float, float], tuple[np.ndarray, float]]
"""(image, strength, blur scale) -> (image, strength actually applied).

Images are float32, H x W x 3, in [0, 1]; strengths are in [0, 1]."""


def _jpeg(
    image: np.ndarray, strength: float, _: float, *, low: int, span: int
) -> tuple[np.ndarray, float]:
    """Encode and decode as JPEG with a quality between `low + span` (strength 0) and `low`."""
    file = io.BytesIO()
    quality = jpeg_quality(strength, low, span)
    Image.fromarray(quantise(image)).save(file, "JPEG", quality=quality, optimize=True)
    with Image.open(file) as decoded:
        return np.asarray(decoded, np.float32) / 255, strength


def _gaussian_blur(
    image: np.ndarray, strength: float, blur_scale: float
) -> tuple[np.ndarray, float]:
    """Blur with a deviation of `1.5 * strength * blur_scale` pixels, mirrored at the border."""
    kernel = gaussian_kernel(1.5 * strength * blur_scale)
    for axis in (0, 1):
        image = correlate1d(image, kernel, axis=axis, mode="mirror")
    return image, strength


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_blur": _gaussian_blur,
    "jpeg": partial(_jpeg, low=10, span=20),
    "jpeg-low": partial(_jpeg, low=15, span=10),
    "jpeg-medium": partial(_jpeg, low=23, span=25),
    "jpeg-broad": partial(_jpeg, low=15, span=60),
    "jpeg-normal": partial(_jpeg, low=47, span=35),
}
"""What `degrade.corruptions` may name as `kind`."""

DISTRIBUTIONS: dict[str, Callable[[float], float]] = {
    "uniform": lambda u: u,
    "cosine": lambda u: 1 - math.cos(u * math.pi / 2),
}
"""What `degrade.distribution` may be: a uniform number in [0, 1) to a strength in [0, 1)."""


def jpeg_quality(strength: float, low: int, span: int) -> int:
    """Return `low + floor((1 - strength) * span)`; 1e-9 makes up for the error of floats."""
    return low + math.floor((1 - strength) * span + 1e-9)


def gaussian_kernel(sigma: float) -> np.ndarray:
    """Return a normalised Gaussian of OpenCV's width for float images; sigma 0 is the identity.

    OpenCV's `GaussianBlur` with a size of 0 takes `round(8 * sigma + 1)`, made odd.
    """
    size = round(8 * sigma + 1) | 1
    if size == 1:
        return np.ones(1)
    offsets = np.arange(size) - size // 2
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    return weights / weights.sum()


def quantise(image: np.ndarray) -> np.ndarray:
    """Return an image in [0, 1] as uint8: rounded, values beyond the range clipped."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def area_downsample(image: np.ndarray, scale: int) -> np.ndarray:
    """Return the mean of each block of `scale` x `scale` pixels.

    Args:
        image: uint8, H x W x 3; `scale` divides H and W.
        scale: a positive whole number; 1 only converts.

    Returns:
        float32, H/scale x W/scale x 3, in [0, 1].
    """
    height, width, channels = image.shape
    if height % scale or width % scale:
        raise ValueError(f"{height} x {width} pixels cannot be divided into blocks of {scale}")
    total = np.zeros((height // scale, width // scale, channels), np.uint32)
    for row in range(scale):
        for column in range(scale):
            total += image[row::scale, column::scale]
    return (total / (255 * scale**2)).astype(np.float32)


def draw_entropy(rng: np.random.Generator, distribution: str, low: float, high: float) -> float:
    """Return a corruption's strength in [low, high], drawn from one of `DISTRIBUTIONS`.

    It has six decimals at most: the manifest holds it as text, and reading it back must give the
    very strength that was applied.
    """
    unit = DISTRIBUTIONS[distribution](rng.random())
    return min(max(round(low + (high - low) * unit, 6), low), high)


def degrade(
    degradation: Degradation, tile: np.ndarray, strengths: Mapping[str, float]
) -> tuple[np.ndarray, dict[str, float]]:
    """Return the low-resolution input and the strengths actually applied, in `names`' order.

    Between corruptions pixels stay float32; they are rounded to 8 bits once, at the end (and
    inside each JPEG).

    Args:
        degradation: scale and corruptions.
        tile: uint8, H x W x 3.
        strengths: for each of the degradation's `names` and nothing else, a number in [0, 1].

    Returns:
        uint8, H/scale x W/scale x 3, and a strength in [0, 1] by name.

    Raises:
        SuperresError: a kind of corruption that this version does not know.
    """
    names = degradation.names
    if set(strengths) != set(names):
        raise ValueError(f"strengths are for {list(strengths)}, wanted {list(names)}")
    image = area_downsample(tile, degradation.scale)
    applied = {}
    for name, kind in degradation.corruptions:
        strength = float(strengths[name])
        if not 0 <= strength <= 1:
            raise ValueError(f"the strength of {name} must be in [0, 1], got {strength}")
        if kind not in CORRUPTIONS:
            known = ", ".join(CORRUPTIONS)
            raise SuperresError(f"degradation: unknown kind {kind!r}, known: {known}")
        image, applied[name] = CORRUPTIONS[kind](image, strength, degradation.blur_scale)
    return quantise(image), applied
