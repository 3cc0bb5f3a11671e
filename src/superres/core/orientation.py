"""Which way up an image file lies, wherever it says so; pixels turned upright.

Said in EXIF, or else in XMP. PNG files by ImageMagick and older programs hold both as hexadecimal
text (`Raw profile type ...`), which counts as if it lay in its proper place.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base

RAW_PROFILES = tuple(f"Raw profile type {kind}" for kind in ("exif", "APP1", "xmp"))
"""Names of PNG's texts that may hold EXIF or XMP."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED_BY_THEIR_DECODERS = ("AVIF", "HEIF", "TIFF")
_EXIF_HEAD = b"Exif\0\0"
_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
_NAMESPACE = re.compile(rb"xmlns:([\w.-]+)\s*=\s*[\"']http://ns\.adobe\.com/tiff/1\.0/[\"']")


def upright(image: Image.Image) -> Image.Image:
    """Return an image turned as its file says, decoded; the same object if it lies right.

    The caller drops what `info` still says of orientation: `exif_of`, `without_orientation`.
    """
    if image.format == "TIFF":
        _read_directories(image)
    image.load()  # TIFF is turned by this; PNG's EXIF may lie behind the pixels
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def exif_of(image: Image.Image) -> Image.Exif:
    """Return an image's EXIF; damaged EXIF counts as none."""
    try:
        if image.format == "PNG":
            image.load()
        raw = None if "exif" in image.info else _raw_profile(image.info, _EXIF_HEAD)
        if raw is None:
            return image.getexif()
        exif = Image.Exif()
        exif.load(raw)
    except Exception:  # parsers of damaged EXIF raise anything
        return Image.Exif()
    return exif


def xmp_of(image: Image.Image) -> bytes | None:
    """Return an image's XMP packet, decoded as far as `exif_of` decodes it."""
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        return xmp.encode()
    return xmp if isinstance(xmp, bytes) else _raw_profile(image.info, _XMP_HEAD)


def without_orientation(xmp: bytes) -> bytes:
    """Return an XMP packet that says that pixels lie upright, if it says anything of it."""
    return _pattern(xmp).sub(rb"\g<1>1", xmp)


def _read_directories(image: Image.Image) -> None:
    """Have Pillow remember TIFF's EXIF whole: it closes the file once the pixels are decoded."""
    with contextlib.suppress(Exception):  # damaged EXIF counts as none
        image.getexif().get_ifd(IFD.Interop)


def _orientation(image: Image.Image) -> int:
    """Return what EXIF, or else XMP says: 1 to 8 if it means anything."""
    try:
        value: Any = exif_of(image).get(Base.Orientation)
    except Exception:  # values are parsed when they are asked for
        value = None
    if value is None and image.format not in _TURNED_BY_THEIR_DECODERS:
        xmp = xmp_of(image) or b""
        found = _pattern(xmp).search(xmp)
        value = int(found[2]) if found else None
    return value if isinstance(value, int) else 1


def _pattern(xmp: bytes) -> re.Pattern[bytes]:
    """Return what finds an orientation, as an attribute or an element: text before it, digits."""
    name = b"|".join(map(re.escape, {b"tiff", *_NAMESPACE.findall(xmp)}))
    name = b"(?:" + name + b"):Orientation"
    return re.compile(rb"(\b" + name + rb"\s*=\s*[\"']\s*|<" + name + rb"(?:\s[^<>]*)?>\s*)(\d+)")


def _raw_profile(info: dict[Any, Any], head: bytes) -> bytes | None:
    """Return a profile that lies in PNG's text as a name, a length and hexadecimal digits."""
    for name in RAW_PROFILES:
        parts = str(info.get(name, "")).split("\n", 3)
        try:
            content = bytes.fromhex("".join(parts[3:]))
        except ValueError:
            continue
        if content.startswith(head):
            return content.removeprefix(_XMP_HEAD)
        if head == _XMP_HEAD and name.endswith("xmp") and content:
            return content
        if head == _EXIF_HEAD and name.endswith("exif") and content[:2] in (b"II", b"MM"):
            return content
    return None
