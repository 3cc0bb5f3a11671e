"""What kinds of picture files can hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from superres.core.images import HEIF, SUFFIXES
from superres.restoration.picture import Picture

QUALITY = 95
"""Of lossy formats. The input's own would put back what was just taken out."""

READABLE = SUFFIXES
"""What the names of pictures end in, in lower case."""

LARGEST = 2**31

_COLOURS = ("L", "LA", "RGB", "RGBA")


@dataclass(frozen=True)
class Format:
    """What a kind of file can hold.

    Args:
        name: Pillow's.
        modes: of images that it stores without loss of colour or alpha: L, LA, RGB, RGBA.
        limit: largest edge in pixels.
        options: for Pillow, beside quality and metadata.
        wide: which of the modes it stores with 16 bits per channel, as we write it.
        exif: whether Pillow writes EXIF into it.
        profile: whether Pillow writes a colour profile into it.
        limit_bytes: of its pixels.
    """

    name: str
    modes: tuple[str, ...] = _COLOURS
    limit: int = LARGEST
    options: dict[str, Any] = field(default_factory=dict)
    wide: tuple[str, ...] = ()
    exif: bool = True
    profile: bool = True
    limit_bytes: float = float("inf")


_LOSSY = {"quality": QUALITY}
_JPEG = Format("JPEG", ("L", "RGB"), 65500, {**_LOSSY, "subsampling": 0})
_TIFF = Format("TIFF", wide=_COLOURS, limit_bytes=2**32 - 2**20)
"""Not compressed: through libtiff, which compresses, Pillow cannot write EXIF."""
_PNM = Format("PPM", ("L", "RGB"), wide=("L",), exif=False, profile=False)
_BMP = Format("BMP", ("L", "RGB"), exif=False, profile=False, limit_bytes=2**32 - 2**20)
_JPEG_2000 = Format("JPEG2000", wide=("L",), exif=False, profile=False)
PNG = Format("PNG", wide=_COLOURS)

FORMATS: dict[str, Format] = {
    ".png": PNG,
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), _JPEG),
    **dict.fromkeys((".tif", ".tiff"), _TIFF),
    ".webp": Format("WEBP", limit=16383, options={**_LOSSY, "exact": True}),
    ".bmp": _BMP,
    ".avif": Format("AVIF", limit=32768, options=_LOSSY),
    ".jp2": _JPEG_2000,
    **dict.fromkeys((".ppm", ".pgm", ".pnm"), _PNM),
    **dict.fromkeys(HEIF, Format("HEIF", limit=32768, options=_LOSSY)),
}
"""By suffix. What is readable and not here (GIF) becomes PNG."""


def mode_of(picture: Picture) -> str:
    """Return Pillow's name for a picture's channels, whatever its depth."""
    return ("L" if picture.grey else "RGB") + ("" if picture.alpha is None else "A")


def target(path: str | Path, picture: Picture, scale: int) -> Path:
    """Return where the enlarged picture goes: the path, or as PNG if its format cannot hold it."""
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    mode = mode_of(picture)
    height, width = (edge * scale for edge in picture.size)
    if (
        kind is not None
        and mode in kind.modes
        and max(height, width) <= kind.limit
        and height * width * len(mode) * picture.bits // 8 <= kind.limit_bytes
    ):
        return path
    return as_png(path)


def as_png(path: Path) -> Path:
    """Return a path that ends in .png; an ending that is no picture's stays part of the name."""
    if path.suffix.lower() in READABLE:
        return path.with_suffix(".png")
    return path.with_name(f"{path.name}.png")
