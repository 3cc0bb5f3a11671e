"""Sixteen bits per channel of colour, in PNG and TIFF.

Pillow decodes such files whole and keeps the upper byte of each sample. It has an unpacker for
either byte order: told the other one, it keeps the lower byte. Two decodings thus give all bits,
whatever the compression, with the decoder's own checks. It writes no such files: they are made
here, around what Pillow makes of their metadata.
"""

from __future__ import annotations

import re
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps
from PIL.ExifTags import Base

from superres.core.images import decoding
from superres.restoration.picture import Picture, cut_out, from_array

LEVEL = 1
"""Of zlib: higher ones take twice as long for half a percent, lower bytes being mostly noise."""
ROWS = 64
"""Filtered at once."""
AVERAGE = 3
"""PNG's filter by the mean of the samples to the left and above: near the best, and fast."""
COLOUR_TYPES = {2: 4, 3: 2, 4: 6}
"""PNG's, by channels."""
PLANES = 2
"""TIFF's configuration with each channel on its own."""

_SAMPLES = re.compile(r"(RGBX?|RGBA|[RGBA]);16([BLN])")
_TURNED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def read_deep(path: Path, image: Image.Image) -> Picture | None:
    """Return the picture of a file with 16 bits per channel of colour, upright.

    Args:
        path: the file.
        image: the same, opened and not loaded.

    Returns:
        None if the file has no such samples, or if they are premultiplied by alpha, CMYK, or
        compressed in planes: what Pillow then gives is all there is, at 8 bits.

    Raises:
        UnreadableImage: see `superres.core.images.read_image`.
    """
    assert isinstance(image, ImageFile.ImageFile)
    if image.format == "PNG" and image.tile and image.tile[0].args == "LA;16B":
        return _grey_with_alpha(path)
    _name_planes(image)
    turned = [tile._replace(args=_lower_bytes(tile.args)) for tile in image.tile]
    planar_libtiff = image.tile and image.tile[0].codec_name == "libtiff" and _in_planes(image)
    if not turned or planar_libtiff or None in [tile.args for tile in turned]:
        return None
    with decoding(path, formats=(str(image.format),)) as second:
        assert isinstance(second, ImageFile.ImageFile)
        second.tile = turned
        low = np.asarray(ImageOps.exif_transpose(second))
    samples = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
    samples <<= 8
    samples |= low
    key = image.info.get("transparency")
    if key is None:
        return from_array(samples)
    return Picture(samples, cut_out((samples == key).all(axis=2)))


def white_is_high(image: Image.Image, picture: Picture) -> Picture:
    """Return a file's picture with its greys the right way round.

    In some TIFF files 0 is white. Pillow turns 8 bits of grey around, but not 16.
    """
    white_is_zero = getattr(image, "tag_v2", {}).get(Base.PhotometricInterpretation) == 0
    if white_is_zero and picture.grey and picture.bits == 16:
        return Picture(65535 - picture.levels, picture.alpha)
    return picture


def encode_png(samples: np.ndarray, shell: bytes) -> bytes:
    """Return a PNG file of 16 bits per channel.

    Args:
        samples: uint16, (H, W, 2 to 4): grey with alpha, RGB, RGB with alpha.
        shell: any PNG file, whose other chunks the new one gets.
    """
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    parts = [shell[:8]]
    for name, content in _chunks(shell):
        if name == b"IDAT":
            parts += [_chunk(name, piece) for piece in _compressed(samples)]
        else:
            parts.append(_chunk(name, header if name == b"IHDR" else content))
    return b"".join(parts)


def encode_tiff(samples: np.ndarray, exif: bytes, options: dict[str, Any]) -> bytes:
    """Return a TIFF file of 16 bits per channel, not compressed.

    Args:
        samples: uint16, (H, W, 3 or 4): RGB, with alpha.
        exif: as Pillow writes it, which is a TIFF file without a picture.
        options: `icc_profile` and `dpi`, as Pillow has them, where there are any.
    """
    height, width, channels = samples.shape
    tags = Image.Exif()
    tags.load(exif)
    tags[Base.ImageWidth], tags[Base.ImageLength] = width, height
    tags[Base.BitsPerSample] = (16,) * channels
    tags[Base.Compression], tags[Base.PhotometricInterpretation] = 1, 2
    tags[Base.SamplesPerPixel], tags[Base.PlanarConfiguration] = channels, 1
    tags[Base.RowsPerStrip], tags[Base.StripByteCounts] = height, samples.nbytes
    tags[Base.StripOffsets] = 0  # Pillow adds the length of the directory
    if channels == 4:
        tags[Base.ExtraSamples] = 2
    if options.get("icc_profile"):
        tags[Base.InterColorProfile] = options["icc_profile"]
    if options.get("dpi"):
        tags[Base.ResolutionUnit] = 2
        tags[Base.XResolution], tags[Base.YResolution] = options["dpi"]
    header = tags.tobytes().removeprefix(b"Exif\0\0")
    order = "<" if header.startswith(b"II") else ">"
    return b"".join([header, np.ascontiguousarray(samples, f"{order}u2").data])


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
    return tags.get(Base.PlanarConfiguration) == PLANES


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


def _grey_with_alpha(path: Path) -> Picture | None:
    """Return a PNG's 16 bits of grey and 16 of alpha, read as 4 channels of 8.

    Filters and interlacing work on bytes and pixels, which stay the same.
    """
    content = bytearray(path.read_bytes())
    if content[12:16] != b"IHDR":
        return None
    content[24:26] = 8, COLOUR_TYPES[4]
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    with decoding(path, bytes(content), ("PNG",)) as image:
        pixels = np.ascontiguousarray(ImageOps.exif_transpose(image))
    return from_array(pixels.view(">u2").astype(np.uint16))


def _compressed(samples: np.ndarray) -> Iterator[bytes]:
    """Yield a PNG's filtered and compressed rows in pieces."""
    packer = zlib.compressobj(LEVEL)
    height, width, channels = samples.shape
    above = np.zeros((1, 2 * width * channels), np.uint8)
    for first in range(0, height, ROWS):
        big_endian = np.ascontiguousarray(samples[first : first + ROWS], ">u2")
        rows = big_endian.view(np.uint8).reshape(-1, above.size)
        left = np.zeros(rows.shape, np.uint16)
        left[:, 2 * channels :] = rows[:, : -2 * channels]
        left += np.concatenate([above, rows[:-1]])
        left >>= 1
        filtered = np.full((len(rows), above.size + 1), AVERAGE, np.uint8)
        filtered[:, 1:] = rows - left.astype(np.uint8)
        above = rows[-1:]
        if piece := packer.compress(filtered.data):
            yield piece
    yield packer.flush()


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place < len(png):
        length, name = struct.unpack_from(">I4s", png, place)
        yield name, png[place + 8 : place + 8 + length]
        place += length + 12


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I4s", len(content), name) + content + struct.pack(">I", checksum)
