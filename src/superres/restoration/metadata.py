"""EXIF: what an enlarged picture keeps of it, and a note of what was done."""

from __future__ import annotations

import math
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base, Interop

from superres.core.orientation import exif_of, without_orientation, xmp_of

USER_COMMENT = Base.UserComment
ASCII = b"ASCII\0\0\0"
KEY = "superres"
"""Of PNG's text, and the first of a comment's own."""
MARK = f'{{"{KEY}": '.encode()
"""What our comments begin with; an older one makes room for the new."""

MARKER_BYTES = 65533
"""What one of JPEG's markers holds."""
XMP_TAG = 0x02BC
_XMP_HEAD_BYTES = 29

_OTHER_COLOURS = ("CMYK", "LAB")
"""Modes that become RGB, which their profile does not describe."""

_STRUCTURE = frozenset(
    (
        *range(0x00FE, 0x010B),  # sizes, bits, compression, photometric interpretation
        *(0x0111, 0x0112, 0x0115, 0x0116, 0x0117, 0x011C, 0x013D, 0x0140, 0x0142, 0x0143),
        *(0x0144, 0x0145, 0x014A, 0x0152, 0x0153, 0x0155, 0x0156, 0x015B, 0x0201, 0x0202),
        *(0x0211, 0x0212, 0x0213, XMP_TAG, 0x8649, 0x8773),
    )
)
"""Tags of the first directory that describe how pixels lie in the file, orientation among them,
and XMP and ICC, which are written on their own."""


def kept_exif(image: Image.Image) -> Image.Exif:
    """Return an image's EXIF without what describes its old pixels; the thumbnail is one of them.

    Damaged EXIF counts as none: it never keeps a picture from being restored.
    """
    kept = Image.Exif()
    try:
        found = exif_of(image)
        for tag, value in found.items():
            if tag not in _STRUCTURE and tag not in (IFD.Exif, IFD.GPSInfo):
                kept[tag] = value
        for directory in (IFD.Exif, IFD.GPSInfo):
            values = dict(found.get_ifd(directory))
            if IFD.Interop in values:  # where the directory was; here it is itself
                values[IFD.Interop] = _interoperability(found)
            values = {tag: value for tag, value in values.items() if value != {}}
            if values:
                kept.get_ifd(directory).update(values)
        kept.tobytes()
    except Exception:  # parsers of damaged EXIF raise anything
        return Image.Exif()
    return kept


def _interoperability(exif: Image.Exif) -> dict[int, Any]:
    """Return a directory of EXIF, empty if it is damaged or in a file that has been closed."""
    try:
        found = dict(exif.get_ifd(IFD.Interop))
    except Exception:  # see above
        return {}
    return found if isinstance(found.get(Interop.InteropIndex), str) else {}


def kept_info(image: Image.Image) -> dict[str, Any]:
    """Return what an image says beside EXIF that is true of its pixels turned upright, in sRGB.

    Of Pillow's `info`, where it is of the kind that Pillow writes: a text of PNG may have any name.
    """
    info = {str(key): value for key, value in image.info.items()}
    kept = {"dpi": resolution(info.get("dpi")), "comment": info.get("comment")}
    if image.mode not in _OTHER_COLOURS:
        kept["icc_profile"] = info.get("icc_profile")
    if not isinstance(kept.get("icc_profile"), bytes):
        kept.pop("icc_profile", None)
    xmp = xmp_of(image)
    kept["xmp"] = without_orientation(xmp) if xmp else None
    return {name: value for name, value in kept.items() if value}


def described(restored: Image.Image, source: Image.Image) -> Image.Image:
    """Return a restored image with what the image it was made of says, as Pillow's resize keeps it.

    That is profile, resolution, XMP and EXIF, without what describes the old pixels.
    """
    restored.info.update(kept_info(source))
    exif = kept_exif(source)
    if not is_empty(exif):
        restored.info["exif"] = exif_of_output(exif, (restored.height, restored.width)).tobytes()
    return restored


def resolution(dpi: Any) -> tuple[float, float] | None:
    """Return dots per inch, where a file says something that can be true."""
    try:
        across, down = (float(edge) for edge in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    sensible = all(math.isfinite(edge) and 0 < edge < 1e5 for edge in (across, down))
    return (across, down) if sensible else None


def is_adobe_rgb(exif: Image.Exif) -> bool:
    """Whether EXIF, as `kept_exif` returns it, says Adobe RGB, as cameras do without a profile."""
    details = exif.get_ifd(IFD.Exif)
    index = details.get(IFD.Interop, {}).get(Interop.InteropIndex, "")
    return str(index).strip("\0 ") == "R03" and details.get(Base.ColorSpace) != 1


def exif_of_output(exif: Image.Exif, size: tuple[int, int]) -> Image.Exif:
    """Return EXIF as `kept_exif` returns it, a copy, with the size in pixels that it now has.

    Args:
        exif: stays as it is.
        size: height and width.
    """
    changed = Image.Exif()
    for tag, value in exif.items():
        changed[tag] = value
    for directory in (IFD.Exif, IFD.GPSInfo):
        values = dict(exif.get_ifd(directory))
        for tag, edge in ((Base.ExifImageHeight, size[0]), (Base.ExifImageWidth, size[1])):
            if directory == IFD.Exif and tag in values:
                values[tag] = edge
        if values:
            changed.get_ifd(directory).update(values)
    return changed


def is_empty(exif: Image.Exif) -> bool:
    """Whether EXIF says nothing, in its sub-directories neither."""
    return not (len(exif) or exif.get_ifd(IFD.Exif) or exif.get_ifd(IFD.GPSInfo))


def with_comment(
    exif: Image.Exif, comment: str, size: tuple[int, int], xmp: bytes | None = None
) -> bytes:
    """Return EXIF with a comment after the photographer's own and the size in pixels it now has.

    Args:
        exif: as `kept_exif` returns it; stays as it is.
        comment: ASCII.
        size: height and width.
        xmp: becomes a tag, as TIFF has it.
    """
    changed = exif_of_output(exif, size)
    details = changed.get_ifd(IFD.Exif)
    before = details.get(USER_COMMENT, b"")
    text = comment.encode("ascii", "replace")
    if isinstance(before, bytes) and before.startswith(ASCII):
        own = before[len(ASCII) :].rstrip(b"\0 ").split(MARK)[0].rstrip()
        text = own + b"\n" + text if own else text
    details[USER_COMMENT] = ASCII + text
    if xmp:
        changed[XMP_TAG] = xmp
    return changed.tobytes()


def for_tiff(exif: bytes) -> Image.Exif:
    """Return EXIF as Pillow's writer of TIFF wants it, which writes no directory of a directory."""
    loaded = Image.Exif()
    loaded.load(exif)
    details = loaded.get_ifd(IFD.Exif)
    if IFD.Interop in details:
        details[IFD.Interop] = dict(loaded.get_ifd(IFD.Interop))
    return loaded


def fit_jpeg(options: dict[str, Any], comment: str) -> list[str]:
    """Take out of a writer's options what is too long for JPEG, whose markers are short.

    Args:
        options: for Pillow; `exif`, `xmp` and `comment` are looked at.
        comment: ours, which stays.

    Returns:
        What was taken out, for people.
    """
    notes = []
    if len(options["exif"]) > MARKER_BYTES:
        exif = Image.Exif()
        exif.load(options["exif"])
        exif.get_ifd(IFD.Exif).pop(Base.MakerNote, None)
        options["exif"], lost = exif.tobytes(), "the maker's notes in EXIF"
        if len(options["exif"]) > MARKER_BYTES:
            options["exif"], lost = _least(exif, comment), "EXIF"
        notes.append(f"JPEG has no room for {lost}")
    for name, limit in (("xmp", MARKER_BYTES - _XMP_HEAD_BYTES), ("comment", MARKER_BYTES)):
        if len(options.get(name, b"")) > limit:
            del options[name]
            notes.append(f"JPEG has no room for the {name.replace('xmp', 'XMP')}")
    return notes


def _least(exif: Image.Exif, comment: str) -> bytes:
    """Return EXIF of a comment and what colours depend on."""
    least = Image.Exif()
    details = exif.get_ifd(IFD.Exif)
    if IFD.Interop in details:
        kept = {Base.ColorSpace: details.get(Base.ColorSpace, 0xFFFF)}
        least.get_ifd(IFD.Exif).update(kept | {IFD.Interop: exif.get_ifd(IFD.Interop)})
    return with_comment(least, comment, (0, 0))
