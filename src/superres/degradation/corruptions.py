"""The corruptions: each a function, and a row in `CORRUPTIONS`.

Those of the recipe have DL-Art-School's values, and golden vectors hold them to its numbers; where
they depart, docs/corruptions.md says how. Those that do the same at every entropy, or in steps, are
in `recipe_corruptions`, with a gradual counterpart of another name here. The others are those of
Real-ESRGAN (Wang et al. 2021).

Each is `(image, entropy, stream, blur_scale) -> (image, entropy actually applied)`. Images are
float32, H x W x 3, in [0, 1]; entropies are in [0, 1]. What a corruption draws (an angle, a field
of noise) comes from the generator that `stream()` makes, always in the same state, so that a
stronger one does more of the same. It costs as much as blurring a small tile: only those that draw
call it.

The commonest are written for many images of one size, `(images, entropies, streams, blur_scale) ->
(images, entropies actually applied)`, N x H x W x 3: of a small tile the calls cost more than the
pixels. Each image is treated as if it were alone, and in `CORRUPTIONS` they stand like the others.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image
from scipy.ndimage import correlate, correlate1d

from superres.degradation.blur_kernels import (
    anisotropic_kernel,
    gaussian_kernel,
    motion_kernel,
    sinc_kernel,
)
from superres.degradation.recipe_corruptions import (
    LUMA,
    Corrupted,
    Stream,
    brightening,
    channel_mean,
    constant_noise,
    hue_rotation,
    jitter,
    stepped_quantization,
    stepped_resampling,
)

Corruption = Callable[[np.ndarray, float, Stream, float], Corrupted]
Streams = Callable[[], list[np.random.Generator]]
AllCorrupted = tuple[np.ndarray, list[float]]
OfMany = Callable[[np.ndarray, list[float], Streams, float], AllCorrupted]

RESAMPLINGS = (
    *(Image.Resampling.NEAREST, Image.Resampling.BOX, Image.Resampling.BILINEAR),
    *(Image.Resampling.BICUBIC, Image.Resampling.LANCZOS),
)


def quantise(image: np.ndarray) -> np.ndarray:
    """Return an image in [0, 1] as uint8: rounded, values beyond the range clipped."""
    levels = image * np.float32(255)
    np.rint(levels, out=levels)
    return levels.clip(0, 255, out=levels).astype(np.uint8)


def jpeg_quality(entropy: float, low: int, span: int) -> int:
    """Return `low + floor((1 - entropy) * span)`; 1e-9 makes up for the error of floats."""
    return low + math.floor((1 - entropy) * span + 1e-9)


def _webp(image: np.ndarray, entropy: float, _: Stream, __: float) -> Corrupted:
    """Encode and decode with a quality between 75 (entropy 0) and 5."""
    file = io.BytesIO()
    quality = jpeg_quality(entropy, low=5, span=70)
    Image.fromarray(quantise(image)).save(file, "WEBP", quality=quality, method=4)
    with Image.open(file) as decoded:
        return np.asarray(decoded, np.float32) / 255, entropy


def _jpegs(
    images: np.ndarray, entropies: list[float], _: Streams, __: float, *, low: int, span: int
) -> AllCorrupted:
    """Encode and decode with a quality between `low + span` (entropy 0) and `low`.

    That gives what saving and opening does, from the codecs themselves: recognising the format and
    parsing its header take longer than decoding a small tile, and so do Pillow's ways to and from
    arrays: one long picture holds all images, one short one is coded. How well the entropy coding
    does (`optimize`) shows in no pixel.
    """
    count, height, width, _ = images.shape
    column = Image.fromarray(quantise(images).reshape(count * height, width, 3))
    picture = Image.new("RGB", (width, height), None)
    for place, entropy in enumerate(entropies):
        picture.paste(column, (0, -place * height))  # what lies outside is cut off
        content = picture.tobytes("jpeg", "RGB", jpeg_quality(entropy, low, span))
        picture.frombytes(content, "jpeg", "RGB", "")
        column.paste(picture, (0, place * height))
    decoded = np.asarray(column, np.float32).reshape(images.shape)
    decoded /= 255
    return decoded, entropies


def _gaussian_blurs(
    images: np.ndarray, entropies: list[float], _: Streams, blur_scale: float
) -> AllCorrupted:
    """Blur with a deviation of `1.5 * entropy * blur_scale` pixels, mirrored at the border."""
    blurred = np.empty_like(images)
    between = np.empty_like(images[0])
    for image, result, entropy in zip(images, blurred, entropies, strict=True):
        kernel = gaussian_kernel(1.5 * entropy * blur_scale)
        if len(kernel) == 1:
            result[:] = image
            continue
        # given where to write to, SciPy looks up no type by its name, which takes as long
        correlate1d(image, kernel, 0, between, mode="mirror")
        correlate1d(between, kernel, 1, result, mode="mirror")
    return blurred, entropies


def _anisotropic_blur(
    image: np.ndarray,
    entropy: float,
    stream: Stream,
    blur_scale: float,
    *,
    shapes: tuple[float, float] = (1.0, 1.0),
) -> Corrupted:
    """Blur `1.5 * entropy * blur_scale` pixels in one direction, 0.2 to 1 of that across it."""
    rng = stream()
    angle, ratio = rng.uniform(0, np.pi), rng.uniform(0.2, 1)
    shape = float(np.exp(rng.uniform(*np.log(shapes))))
    kernel = anisotropic_kernel(1.5 * entropy * blur_scale, ratio, angle, shape)
    return _filtered(image, kernel), entropy


def _motion_blur(image: np.ndarray, entropy: float, stream: Stream, blur_scale: float) -> Corrupted:
    """Blur along a stroke of `4 * entropy * blur_scale` pixels in any direction."""
    kernel = motion_kernel(4 * entropy * blur_scale, stream().uniform(0, np.pi))
    return _filtered(image, kernel), entropy


def _sinc(image: np.ndarray, entropy: float, _: Stream, __: float) -> Corrupted:
    """Cut frequencies off above pi (entropy 0, the identity) to pi / 3: ringing beside edges."""
    if entropy == 0:
        return image, entropy
    return np.clip(_filtered(image, sinc_kernel(np.pi * (1 - 2 / 3 * entropy))), 0, 1), entropy


def _noises(
    images: np.ndarray,
    entropies: list[float],
    streams: Streams,
    _: float,
    *,
    levels: float,
    channels: int = 3,
) -> AllCorrupted:
    """Add Gaussian noise with a deviation of `entropy * levels` 8-bit levels, and clip."""
    noise = np.empty((*images.shape[:3], channels), np.float32)
    for field, rng in zip(noise, streams(), strict=True):
        rng.standard_normal(dtype=np.float32, out=field)
    deviations = np.array([entropy * levels / 255 for entropy in entropies], np.float32)
    noise *= deviations[:, np.newaxis, np.newaxis, np.newaxis]
    noisy = images + noise
    return noisy.clip(0, 1, out=noisy), entropies


def _poisson_noise(image: np.ndarray, entropy: float, stream: Stream, _: float) -> Corrupted:
    """Add the noise of counting light: white has a deviation of `entropy * 25` levels.

    Its variance is proportional to the light; a normal distribution stands for Poisson's, so that
    the same field of noise can be scaled.
    """
    noise = stream().standard_normal(image.shape, np.float32) * np.sqrt(image)
    return np.clip(image + noise * np.float32(entropy * 25 / 255), 0, 1), entropy


def _resampling(
    image: np.ndarray,
    entropy: float,
    stream: Stream,
    _: float,
    *,
    factor: float,
    down: tuple[Image.Resampling, ...] = (Image.Resampling.BOX,),
) -> Corrupted:
    """Scale down by up to `factor` and up again; the size is whole, and so is what was applied."""
    rng = stream()
    smaller = down[rng.integers(len(down))]
    larger = RESAMPLINGS[rng.integers(len(RESAMPLINGS))]
    height, width = image.shape[:2]
    wanted = 1 + (factor - 1) * entropy
    size = max(1, round(width / wanted)), max(1, round(height / wanted))
    if size == (width, height):
        return image, 0.0
    restored = _resized(_resized(image, size, smaller), (width, height), larger)
    longest = max(width, height)
    applied = min(1.0, (longest / max(size) - 1) / (factor - 1))
    return np.clip(restored, 0, 1), applied


def _posterization(image: np.ndarray, entropy: float, _: Stream, __: float) -> Corrupted:
    """Round to 256 (entropy 0) to 8 levels per channel."""
    levels = round(2 ** (8 - 5 * entropy))
    applied = (8 - math.log2(levels)) / 5
    return np.rint(image * (levels - 1)).astype(np.float32) / np.float32(levels - 1), applied


def _color_shift(image: np.ndarray, entropy: float, stream: Stream, _: float) -> Corrupted:
    """Change brightness and contrast by up to 30 %, and turn hues by up to 18 degrees."""
    rng = stream()
    turns = rng.choice((-1, 1), 3) * rng.uniform(0.5, 1, 3) * entropy
    brightness, contrast, hue = map(float, turns)
    mean = float((image @ LUMA).mean())
    changed = (image - mean) * (1 + 0.3 * contrast) + mean * (1 + 0.3 * brightness)
    return np.clip(changed @ hue_rotation(hue * np.pi / 10), 0, 1), entropy


def _color_saturation(image: np.ndarray, entropy: float, stream: Stream, _: float) -> Corrupted:
    """Weaken or strengthen colours by up to 60 %."""
    change = float(stream().choice((-1, 1))) * 0.6 * entropy
    grey = _grey(image)
    return np.clip(grey + (image - grey) * np.float32(1 + change), 0, 1), entropy


def _desaturation(image: np.ndarray, entropy: float, _: Stream, __: float) -> Corrupted:
    """Take colours away: none of them at entropy 0, all at 1."""
    return image + (_grey(image) - image) * np.float32(entropy), entropy


def _of_one(together: OfMany) -> Corruption:
    def alone(image: np.ndarray, entropy: float, stream: Stream, blur_scale: float) -> Corrupted:
        images, applied = together(image[np.newaxis], [entropy], lambda: [stream()], blur_scale)
        return images[0], applied[0]

    return alone


TOGETHER: dict[str, OfMany] = {
    "gaussian_blur": _gaussian_blurs,
    "jpeg": partial(_jpegs, low=10, span=20),
    "jpeg-low": partial(_jpegs, low=15, span=10),
    "jpeg-medium": partial(_jpegs, low=23, span=25),
    "jpeg-broad": partial(_jpegs, low=15, span=60),
    "jpeg-normal": partial(_jpegs, low=47, span=35),
    "noise": partial(_noises, levels=6),
    "gaussian_noise-5": partial(_noises, levels=5),
    "gaussian_noise": partial(_noises, levels=25),
    "grey_noise": partial(_noises, levels=25, channels=1),
}
"""Those that are written for many images."""

CORRUPTIONS: dict[str, Corruption] = {
    **{kind: _of_one(together) for kind, together in TOGETHER.items()},
    "webp": _webp,
    "noise-5": constant_noise,
    "poisson_noise": _poisson_noise,
    "motion_blur": _motion_blur,
    "anisotropic_blur": _anisotropic_blur,
    "generalized_blur": partial(_anisotropic_blur, shapes=(0.5, 4.0)),
    "sinc": _sinc,
    "lq_resampling": stepped_resampling,
    "lq_resampling2x": partial(_resampling, factor=2),
    "lq_resampling4x": partial(_resampling, factor=4),
    "random_resize": partial(_resampling, factor=3, down=RESAMPLINGS[1:]),
    "color_quantization": stepped_quantization,
    "posterization": _posterization,
    "color_jitter": jitter,
    "color_shift": _color_shift,
    "saturation": brightening,
    "color_saturation": _color_saturation,
    "greyscale": channel_mean,
    "desaturation": _desaturation,
}
"""What `degrade.corruptions` may name as `kind`."""


def _filtered(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return an image filtered with a two-dimensional kernel, mirrored at the border."""
    return np.stack(
        [correlate(image[:, :, channel], kernel, mode="mirror") for channel in range(3)], axis=2
    )


def _resized(image: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    channels = [Image.fromarray(image[:, :, channel]).resize(size, how) for channel in range(3)]
    return np.stack([np.asarray(channel) for channel in channels], axis=2)


def _grey(image: np.ndarray) -> np.ndarray:
    return (image @ LUMA)[:, :, np.newaxis]
