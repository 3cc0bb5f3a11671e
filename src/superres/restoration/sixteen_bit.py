"""PNG and TIFF files of 16 bits per channel of colour, which Pillow reads but does not write.

They are made here, around what Pillow makes of their metadata. `superres.core.pixels_16_bit` reads
them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

LEVEL = 1
"""Of zlib: higher ones take twice as long for half a percent, lower bytes being mostly noise."""
ROWS = 64
"""Filtered at once."""
AVERAGE = 3
"""PNG's filter by the mean of the samples to the left and above: near the best, and fast."""
COLOUR_TYPES = {2: 4, 3: 2, 4: 6}
"""PNG's, by channels."""


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
