"""Sixteen bits per channel, read from PNG and TIFF files.

Pillow decodes colour of such files whole and keeps the upper byte of each sample. It has an
unpacker for either byte order: given the other one, it keeps the lower byte. Two decodings thus
give all bits, whatever the compression, with the decoder's own checks.
"""

from __future__ import annotations

import re
import struct
import sys
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from PIL import Image, ImageFile
from PIL.ExifTags import Base

from superres.core.orientation import upright

WHITE = 65535
Reopen = Callable[[bytes | None], AbstractContextManager[Image.Image]]
"""Opens the file once more, or other bytes in its place."""

_PLANES = 2
"""TIFF's configuration with each channel on its own."""
_PNG_HEADER = 33
_RGBA_IN_PNG = 6
_SAMPLES = re.compile(r"(RGBX?|RGBA|[RGBA]);16([BLN])")
_TURNED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def in_8_bits(levels: np.ndarray) -> np.ndarray:
    """Return 16-bit levels as 8-bit ones, each rounded to the nearest of 256."""
    return ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 257 = 65535 / 255


def colours_of_16_bits(image: Image.Image, reopen: Reopen) -> np.ndarray | None:
    """Return the samples of a file with 16 bits per channel of colour or alpha, upright.

    Args:
        image: the file, opened and not loaded.
        reopen: opens it once more.

    Returns:
        uint16, (H, W, 2 to 4), alpha last; a transparent colour becomes alpha. None if the file has
        no such samples, or if they are premultiplied by alpha, CMYK, or compressed in planes: what
        Pillow then gives is all there is, at 8 bits.

    Raises:
        UnreadableImage: as `superres.core.images.decoding`, of which `reopen` is made.
    """
    if not isinstance(image, ImageFile.ImageFile):
        return None
    if image.format == "PNG" and image.tile and image.tile[0].args == "LA;16B":
        return _grey_with_alpha(image, reopen)
    _name_planes(image)
    turned = [tile._replace(args=_lower_bytes(tile.args)) for tile in image.tile]
    planar_libtiff = image.tile and image.tile[0].codec_name == "libtiff" and _in_planes(image)
    if not turned or planar_libtiff or None in [tile.args for tile in turned]:
        return None
    with reopen(None) as second:
        assert isinstance(second, ImageFile.ImageFile)
        second.tile = turned
        low = np.asarray(upright(second))
    samples = np.asarray(upright(image)).astype(np.uint16)
    samples <<= 8
    samples |= low
    key = image.info.get("transparency")
    return samples if key is None else _with_alpha(samples, (samples == key).all(axis=2))


def greys_of_16_bits(image: Image.Image) -> np.ndarray:
    """Return the samples of an image of integers, which Pillow gives whole, with 0 as black.

    Args:
        image: upright, of mode I or I;16.

    Returns:
        uint16, (H, W, 1 or 2), alpha last.

    Raises:
        ValueError: levels beyond 16 bits.
    """
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > WHITE:
        raise ValueError("integer pixels beyond 16 bits have no defined range")
    levels = levels.astype(np.uint16)[:, :, np.newaxis]
    key = image.info.get("transparency")
    if key is not None:
        levels = _with_alpha(levels, levels[:, :, 0] == key)
    if getattr(image, "tag_v2", {}).get(Base.PhotometricInterpretation) == 0:
        levels[:, :, 0] = WHITE - levels[:, :, 0]  # Pillow turns 8 bits of grey around, not 16
    return levels


def _with_alpha(samples: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    alpha = np.where(hidden, 0, WHITE).astype(np.uint16)
    return np.concatenate([samples, alpha[:, :, np.newaxis]], axis=2)


def _lower_bytes(args: Any) -> Any:
    """Return a decoder's arguments with the byte order turned, or None for other samples."""
    raw, *more = (args,) if isinstance(args, str) else args or (None,)
    found = _SAMPLES.fullmatch(str(raw))
    if found is None:
        return None
    turned = f"{found[1]};16{_TURNED[found[2]]}"
    return (turned, *more) if more else turned


def _in_planes(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    return tags.get(Base.PlanarConfiguration) == _PLANES


def _name_planes(image: Any) -> None:
    """Mend how planes of 16 bits are read without compression: Pillow takes them for 8 bits."""
    if not _in_planes(image) or 16 not in np.atleast_1d(image.tag_v2.get(Base.BitsPerSample, 1)):
        return
    order = "L" if image.tag_v2.prefix == b"II" else "B"
    image.tile = [
        tile._replace(args=(f"{tile.args[0]};16{order}", *tile.args[1:]))
        if tile.codec_name == "raw"
        else tile
        for tile in image.tile
    ]


def _grey_with_alpha(image: ImageFile.ImageFile, reopen: Reopen) -> np.ndarray | None:
    """Return a PNG's 16 bits of grey and 16 of alpha, read as 4 channels of 8.

    Filters and interlacing work on bytes and pixels, which stay the same.
    """
    file = image.fp
    assert file is not None
    place = file.tell()
    file.seek(0)
    content = bytearray(file.read())
    file.seek(place)
    if content[12:16] != b"IHDR":
        return None
    content[24:26] = 8, _RGBA_IN_PNG
    content[29:_PNG_HEADER] = struct.pack(">I", zlib.crc32(content[12:29]))
    with reopen(bytes(content)) as opened:
        pixels = np.ascontiguousarray(upright(opened))
    return pixels.view(">u2").astype(np.uint16)
