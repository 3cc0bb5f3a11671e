"""Pixels with what networks do not see: alpha, depth, and whether there is colour at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.hashing import pixels_digest

DEPTHS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
"""Level of white by kind of pixels."""


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

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.levels.shape[0], self.levels.shape[1]

    @property
    def identity(self) -> str:
        """A name that follows from the pixels alone."""
        return pixels_digest(self.levels)

    @property
    def bits(self) -> int:
        """Per channel: 8 or 16."""
        return 8 * self.levels.dtype.itemsize

    def in_8_bits(self) -> Picture:
        """Return the picture with each level rounded to the nearest of 256."""
        if self.bits == 8:
            return self
        levels, alpha = (
            None if part is None else ((part.astype(np.uint32) + 128) // 257).astype(np.uint8)
            for part in (self.levels, self.alpha)
        )
        assert levels is not None
        return Picture(levels, alpha)

    def signal(self, device: torch.device | str = "cpu") -> Tensor:
        """Return what networks see, at full depth: float32 in [-1, 1], (1, 3, H, W)."""
        white = DEPTHS[self.levels.dtype]
        # In integers as far as possible, so that 8 bits give the very floats of training.
        levels = self.levels if self.levels.dtype == np.uint8 else self.levels.astype(np.int32)
        tensor = torch.tensor(levels, device=device).float().div_(white / 2).sub_(1)
        channels = tensor.expand(3, -1, -1) if self.grey else tensor.permute(2, 0, 1)
        return channels[None]

    def restored(self, size: tuple[int, int], bands: Iterable[tuple[slice, Tensor]]) -> Picture:
        """Return a picture of the same kind from restored rows and this one's alpha.

        Args:
            size: height and width of the restored picture.
            bands: rows, and their pixels in about [-1, 1], (1, 3, rows, width).
        """
        kind = self.levels.dtype
        white = DEPTHS[kind]
        levels = np.empty(size if self.grey else (*size, 3), kind)
        for rows, signal in bands:
            seen = signal.mean(dim=1, keepdim=True) if self.grey else signal
            shown = seen[0].float().add(1).mul_(white / 2).round_().clamp_(0, white)
            levels[rows] = shown.permute(1, 2, 0).cpu().numpy().astype(kind).reshape(
                levels[rows].shape
            )  # fmt: skip
        return Picture(levels, None if self.alpha is None else _enlarged(self.alpha, size))


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
    16-bit greyscale keeps its depth; Pillow gives all other pictures with 8 bits, which `deep`
    mends for some files.

    Raises:
        SuperresError: pixels without a defined range, or in a mode that cannot be shown as RGB.
    """
    mode = image.mode
    if mode == "F":
        raise SuperresError("floating-point pixels have no defined range")
    if mode.startswith("I"):
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 65535:
            raise SuperresError("integer pixels beyond 16 bits have no defined range")
        levels, key = levels.astype(np.uint16), image.info.get("transparency")
        return Picture(levels, None if key is None else cut_out(levels == key))
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


def cut_out(where: np.ndarray) -> np.ndarray:
    """Return 16-bit alpha, (H, W), that is transparent where a mask says and opaque elsewhere."""
    return np.where(where, 0, DEPTHS[np.dtype(np.uint16)]).astype(np.uint16)


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
