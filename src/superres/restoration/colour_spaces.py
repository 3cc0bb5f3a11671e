"""What a file says of its colours without a profile: PNG's chunks, and Adobe RGB by EXIF."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import ImageCms, PngImagePlugin

from superres.restoration.picture import DEPTHS, Picture

CHUNKS = (b"cICP", b"sRGB", b"gAMA", b"cHRM")
"""PNG's, beside the profile, in the order in which they count."""
_CHUNK_BYTES = 32
"""Of the longest."""
_ROWS = 64

_ADOBE_GAMMA = 563 / 256
_SRGB_OF_ADOBE = np.array(
    [[1.3983557, -0.3983557, 0], [0, 1, 0], [0, -0.0429290, 1.0429290]], np.float32
)
"""Linear to linear; both have the white of D65 (Adobe RGB (1998) 4.3, IEC 61966-2-1)."""


def colour_chunks(path: Path) -> dict[bytes, bytes]:
    """Return a PNG file's chunks that say what its levels mean, as they are."""
    found: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        file.seek(len(PngImagePlugin._MAGIC))
        stream = PngImagePlugin.ChunkStream(file)
        while True:
            name, place, length = stream.read()
            if name in (b"IDAT", b"IEND"):
                return found
            if name in CHUNKS and length <= _CHUNK_BYTES:
                found.setdefault(name, file.read(length))
            file.seek(place + length + 4)


def outside_png(
    chunks: Mapping[bytes, bytes], picture: Picture, profile: bytes | None, takes_profile: bool
) -> tuple[bytes | None, tuple[str, ...]]:
    """Return a profile in place of PNG's chunks, for another format, and what cannot be said there.

    Args:
        chunks: as `colour_chunks` returns them.
        picture: what is written.
        profile: the file's own, which counts more than the chunks behind the first.
        takes_profile: whether the format does.
    """
    counted = [name for name in CHUNKS if name in chunks]
    if profile:
        counted = [name for name in counted if name == b"cICP"]
    elif counted[:1] == [b"sRGB"]:
        if takes_profile and not picture.grey:
            return _srgb_profile(), ()
        counted = counted[:1]
    return profile, tuple(name.decode() for name in counted)


def _srgb_profile() -> bytes:
    """Return a profile of sRGB, the same at any time."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + struct.pack(">6H", 1999, 10, 18, 0, 0, 0) + profile[36:]


def srgb_of_adobe(picture: Picture) -> Picture:
    """Return a picture in Adobe RGB as one in sRGB, as near as sRGB comes.

    Greys stay: their levels differ by a few hundredths.
    """
    if picture.grey:
        return picture
    white = DEPTHS[picture.levels.dtype]
    levels = np.empty_like(picture.levels)
    for top in range(0, len(levels), _ROWS):
        rows = picture.levels[top : top + _ROWS].astype(np.float32) / white
        linear = (rows**_ADOBE_GAMMA @ _SRGB_OF_ADOBE.T).clip(0, 1)
        shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        levels[top : top + _ROWS] = np.rint(shown * white)
    return Picture(levels, picture.alpha)
