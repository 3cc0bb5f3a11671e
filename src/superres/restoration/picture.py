"""Pixels with what networks do not see: alpha, depth, and whether there is colour at all.

Colours that alpha hides mean nothing, and are often left over from what a picture was cut out of.
Neither the network nor the noise nor the estimator of strengths sees them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.hashing import pixels_digest
from superres.core.pixels_16_bit import greys_of_16_bits, in_8_bits

DEPTHS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
"""Level of white by kind of pixels."""
JPEG_BLOCK = 8
"""Pixels along an edge."""


@dataclass(frozen=True)
class Picture:
    """A still picture.

    Args:
        levels: uint8 or uint16, (H, W, 3), or (H, W) for greyscale.
        alpha: the same kind, (H, W), or None where everything is opaque.
    """

    levels: np.ndarray
    alpha: np.ndarray | None = None

    @property
    def grey(self) -> bool:
        """Whether there is no colour."""
        return self.levels.ndim == 2

    @cached_property
    def seen(self) -> np.ndarray:
        """The levels, each hidden pixel being like the nearest visible one; all alike if none is.

        Greyscale, (H, W), if what is visible has no colour, in however many channels.
        """
        levels = self.levels
        if self.alpha is not None and not self.alpha.all():
            hidden = self.alpha == 0
            if hidden.all():
                return np.full(self.size, DEPTHS[levels.dtype] // 2, levels.dtype)
            from scipy.ndimage import (  # noqa: PLC0415 - a third of a second, for alpha alone
                distance_transform_edt,
            )

            rows, columns = distance_transform_edt(
                hidden, return_distances=False, return_indices=True
            )
            levels = levels[rows, columns]
        return levels[:, :, 0] if levels.ndim == 3 and _colourless(levels) else levels

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.levels.shape[0], self.levels.shape[1]

    @property
    def identity(self) -> str:
        """A name that follows from what is seen alone."""
        return pixels_digest(self.seen)

    @property
    def bits(self) -> int:
        """Per channel: 8 or 16."""
        return 8 * self.levels.dtype.itemsize

    def in_8_bits(self) -> Picture:
        """Return the picture with each level rounded to the nearest of 256."""
        if self.bits == 8:
            return self
        return Picture(
            in_8_bits(self.levels), None if self.alpha is None else in_8_bits(self.alpha)
        )

    def visible_part(self) -> Picture:
        """Return the smallest part with all that is visible, on the grid of JPEG's blocks."""
        if self.alpha is None or not self.alpha.any():
            return self
        edges = (np.flatnonzero(self.alpha.any(axis=axis))[[0, -1]] for axis in (1, 0))
        here = tuple(
            slice(int(first) // JPEG_BLOCK * JPEG_BLOCK, (int(last) // JPEG_BLOCK + 1) * JPEG_BLOCK)
            for first, last in edges
        )
        return Picture(self.levels[here], self.alpha[here])

    def signal(self, device: torch.device | str = "cpu") -> Tensor:
        """Return what networks see, at full depth: float32 in [-1, 1], (1, 3, H, W)."""
        white = DEPTHS[self.levels.dtype]
        # In integers as far as possible, so that 8 bits give the very floats of training.
        levels = self.seen if self.seen.dtype == np.uint8 else self.seen.astype(np.int32)
        tensor = torch.tensor(levels, device=device).float().div_(white / 2).sub_(1)
        channels = tensor.expand(3, -1, -1) if levels.ndim == 2 else tensor.permute(2, 0, 1)
        return channels[None]

    def restored(self, size: tuple[int, int], bands: Iterable[tuple[slice, Tensor]]) -> Picture:
        """Return a picture of the same kind from restored rows and this one's alpha.

        Of what has no colour all channels become their mean.

        Args:
            size: height and width of the restored picture.
            bands: rows, and their pixels in about [-1, 1], (1, 3, rows, width).
        """
        kind = self.levels.dtype
        white = DEPTHS[kind]
        levels = np.empty(size if self.grey else (*size, 3), kind)
        for rows, signal in bands:
            colours = signal.mean(dim=1, keepdim=True) if self.seen.ndim == 2 else signal
            shown = colours[0].float().add(1).mul_(white / 2).round_().clamp_(0, white)
            restored = shown.permute(1, 2, 0).cpu().numpy().astype(kind)
            levels[rows] = restored[:, :, 0] if self.grey else restored
        return Picture(levels, None if self.alpha is None else _enlarged(self.alpha, size))


def _colourless(levels: np.ndarray) -> bool:
    """Whether all channels of (H, W, 3) are equal; looks no further than the first colour."""
    blocks = (levels[top : top + 64] for top in range(0, len(levels), 64))
    return all(bool((block == block[:, :, :1]).all()) for block in blocks)


def _enlarged(alpha: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return alpha at a size, by Lanczos, at its own depth."""
    image = Image.fromarray(alpha.astype(np.float32))
    large = np.asarray(image.resize(size[::-1], Image.Resampling.LANCZOS))
    return np.rint(np.clip(large, 0, DEPTHS[alpha.dtype])).astype(alpha.dtype)


def from_array(array: np.ndarray) -> Picture:
    """Return pixels as a picture: uint8 or uint16, (H, W), or (H, W, 1 to 4 channels).

    Two channels are grey and alpha, four are RGB and alpha.

    Raises:
        SuperresError: another kind or shape.
    """
    if array.dtype not in DEPTHS:
        raise SuperresError(f"pixels must be uint8 or uint16, got {array.dtype}")
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or 0 in array.shape:
        raise SuperresError(f"pixels must be H x W or H x W x 1 to 4, got {array.shape}")
    channels = array.shape[2]
    colours = array[:, :, 0] if channels < 3 else array[:, :, :3]
    return Picture(colours, array[:, :, -1] if channels in (2, 4) else None)


def samples_of(picture: Picture) -> np.ndarray:
    """Return a picture's pixels with its alpha as the last channel, (H, W, 1 to 4)."""
    parts = [picture.levels[:, :, np.newaxis] if picture.grey else picture.levels]
    if picture.alpha is not None:
        parts.append(picture.alpha[:, :, np.newaxis])
    return np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]


def to_array(picture: Picture, like: np.ndarray) -> np.ndarray:
    """Return a picture's pixels with as many dimensions and channels as an array has."""
    array = samples_of(picture)
    return array[:, :, 0] if like.ndim == 2 else array


def from_pil(image: Image.Image) -> Picture:
    """Return a Pillow image as a picture, upright as it is; the caller applies orientation.

    Palettes become colours, bitmaps grey, CMYK becomes sRGB by its profile where it has one.
    16-bit greyscale keeps its depth; Pillow gives all other pictures with 8 bits, which
    `superres.core.pixels_16_bit` mends for some files.

    Raises:
        SuperresError: pixels without a defined range, or in a mode that cannot be shown as RGB.
    """
    mode = image.mode
    if mode == "F":
        raise SuperresError("floating-point pixels have no defined range")
    if mode.startswith("I"):
        try:
            return from_array(greys_of_16_bits(image))
        except ValueError as error:
            raise SuperresError(str(error)) from error
    if mode == "CMYK":
        return Picture(np.asarray(_rgb_of_cmyk(image)))
    grey = mode in ("1", "L", "LA", "La")
    try:
        if image.has_transparency_data:
            pixels = np.asarray(image.convert("LA" if grey else "RGBA"))
            return from_array(pixels)
        return Picture(np.asarray(image.convert("L" if grey else "RGB")))
    except ValueError as error:
        raise SuperresError(f"mode {mode} cannot be shown as RGB") from error


def to_pil(picture: Picture) -> Image.Image:
    """Return a picture as a Pillow image: L, LA, RGB, RGBA or I;16.

    Pillow has no 16 bits of colour or alpha: such pictures come with 8.
    """
    if picture.levels.dtype == np.uint16 and not (picture.grey and picture.alpha is None):
        picture = picture.in_8_bits()
    if picture.alpha is None:
        return Image.fromarray(picture.levels)
    image = Image.fromarray(picture.levels)
    image.putalpha(Image.fromarray(picture.alpha))
    return image


def _rgb_of_cmyk(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(ImageCms.core.profile_frombytes(profile))
            shown = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if shown is not None:
                return shown
        except (ImageCms.PyCMSError, OSError):
            pass  # a damaged profile says nothing about the colours
    return image.convert("RGB")
