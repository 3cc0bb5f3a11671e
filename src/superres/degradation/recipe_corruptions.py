"""Corruptions of DL-Art-School with its very values, which one would not choose oneself.

Some do the same at every entropy, some in steps. What was improved has names of its own in
`superres.degradation.corruptions`, which says what these functions take and return.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from superres.core.color import BT601

Corrupted = tuple[np.ndarray, float]
Stream = Callable[[], np.random.Generator]

LUMA = np.array(BT601, np.float32)
JITTER_LEAST = 1 / 255
"""A jitter up to this is left out."""


def constant_noise(image: np.ndarray, entropy: float, stream: Stream, _: float) -> Corrupted:
    """Add noise between 0 and 5 8-bit levels, which brightens, at every entropy; and clip."""
    noise = stream().random(image.shape) * (5 / 255)
    return np.clip(image + noise.astype(np.float32), 0, 1), entropy


def brightening(image: np.ndarray, entropy: float, _: Stream, __: float) -> Corrupted:
    """Add up to 0.3 to all channels: what the recipe calls saturation."""
    return np.clip(image + np.float32(0.3 * entropy), 0, 1), entropy


def channel_mean(image: np.ndarray, entropy: float, _: Stream, __: float) -> Corrupted:
    """Replace colours by the mean of the channels, at every entropy."""
    return np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2), entropy


def quantization_step(entropy: float) -> int:
    """Return 4 below entropy 0.3, 8 below 0.6, 16 below 0.9, then 32 8-bit levels."""
    return int(4 * 2 ** int(entropy * 10 / 3 + 1e-9))


def stepped_quantization(image: np.ndarray, entropy: float, _: Stream, __: float) -> Corrupted:
    """Round down to multiples of 4, 8, 16 or 32 8-bit levels."""
    step = quantization_step(entropy) / 255
    return np.floor(image / np.float32(step) + 1e-4) * np.float32(step), entropy


def jitter(image: np.ndarray, entropy: float, stream: Stream, _: float) -> Corrupted:
    """Change brightness, contrast and saturation by up to 20 %, and turn hues by up to a fifth.

    Each uniformly on both sides, in this order.
    """
    strength = 0.2 * entropy
    if strength <= JITTER_LEAST:
        return image, entropy
    brightness, contrast, saturation, hue = map(float, strength * stream().uniform(-1, 1, 4))
    image = image * np.float32(1 + brightness)
    mean = np.float32((image @ LUMA).mean())
    image = mean + (image - mean) * np.float32(1 + contrast)
    grey = (image @ LUMA)[:, :, np.newaxis]
    image = grey + (image - grey) * np.float32(1 + saturation)
    return np.clip(image @ hue_rotation(2 * np.pi * hue), 0, 1), entropy


def hue_rotation(angle: float) -> np.ndarray:
    """Return the matrix that turns colours, as rows, about the axis of greys."""
    along = np.full((3, 3), 1 / 3)
    across = np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]]) / np.sqrt(3)
    turned = along + np.cos(angle) * (np.eye(3) - along) + np.sin(angle) * across
    return turned.astype(np.float32)


def stepped_resampling(image: np.ndarray, entropy: float, stream: Stream, _: float) -> Corrupted:
    """Scale to 1/2 from entropy 0.3 on, to 1/4 from 0.7 on, and linearly up again.

    Down by one of OpenCV's nearest, linear, cubic and area, without its antialiasing.
    """
    factor = 1 if entropy < 0.3 else 2 if entropy < 0.7 else 4
    if factor == 1:
        return image, entropy
    method = REDUCTIONS[stream().integers(len(REDUCTIONS))]
    small = image
    for axis in (0, 1):
        small = reduced(small, axis, factor, method)
    large = small
    for axis in (0, 1):
        large = _sampled(large, axis, image.shape[axis], _linear_taps)
    return np.clip(large, 0, 1), entropy


REDUCTIONS = ("nearest", "linear", "cubic", "area")


def reduced(image: np.ndarray, axis: int, factor: int, method: str) -> np.ndarray:
    """Return an image with 1/factor of the pixels along an axis, at least one."""
    length = image.shape[axis]
    count = max(1, length // factor)
    if method == "nearest":
        return np.take(image, np.arange(count) * length // count, axis)
    if method == "area":
        edges = np.arange(count) * length // count
        sizes = np.diff([*edges, length])
        shape = [1] * image.ndim
        shape[axis] = -1
        sums = np.add.reduceat(image, edges, axis=axis)
        return np.asarray(sums / sizes.reshape(shape), np.float32)
    return _sampled(image, axis, count, _linear_taps if method == "linear" else _cubic_taps)


def _sampled(
    image: np.ndarray, axis: int, count: int, taps: Callable[[np.ndarray], list[np.ndarray]]
) -> np.ndarray:
    """Return values interpolated at the centres of `count` pixels; the border is repeated."""
    length = image.shape[axis]
    centres = (np.arange(count) + 0.5) * length / count - 0.5
    first = np.floor(centres).astype(int)
    weights = taps(centres - first)
    shape = [1] * image.ndim
    shape[axis] = -1
    total = np.zeros(1)
    for number, weight in enumerate(weights):
        places = np.clip(first + number + 1 - len(weights) // 2, 0, length - 1)
        total = total + np.take(image, places, axis) * weight.reshape(shape)
    return np.asarray(total, np.float32)


def _linear_taps(fraction: np.ndarray) -> list[np.ndarray]:
    return [1 - fraction, fraction]


def _cubic_taps(fraction: np.ndarray) -> list[np.ndarray]:
    """Return the weights of Keys' kernel with a = -3/4, OpenCV's, at four pixels."""
    a = -0.75

    def far(x: np.ndarray) -> np.ndarray:
        return a * (x**3 - 5 * x**2 + 8 * x - 4)

    def near(x: np.ndarray) -> np.ndarray:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1

    return [far(1 + fraction), near(fraction), near(1 - fraction), far(2 - fraction)]
