"""EXIF: what an enlarged picture keeps of it, and a note of what was done."""

from __future__ import annotations

from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base

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
        found = image.getexif()
        for tag, value in found.items():
            if tag not in _STRUCTURE and tag not in (IFD.Exif, IFD.GPSInfo):
                kept[tag] = value
        for directory in (IFD.Exif, IFD.GPSInfo):
            values = found.get_ifd(directory)
            if values:
                kept.get_ifd(directory).update(values)
        kept.tobytes()
    except Exception:  # parsers of damaged EXIF raise anything
        return Image.Exif()
    return kept


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
    changed = Image.Exif()
    changed.load(exif.tobytes())
    details = changed.get_ifd(IFD.Exif)
    before = details.get(USER_COMMENT, b"")
    text = comment.encode("ascii", "replace")
    if isinstance(before, bytes) and before.startswith(ASCII):
        own = before[len(ASCII) :].rstrip(b"\0 ").split(MARK)[0].rstrip()
        text = own + b"\n" + text if own else text
    details[USER_COMMENT] = ASCII + text
    for tag, edge in ((Base.ExifImageHeight, size[0]), (Base.ExifImageWidth, size[1])):
        if tag in details:
            details[tag] = edge
    if xmp:
        changed[XMP_TAG] = xmp
    return changed.tobytes()


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
            options["exif"], lost = with_comment(Image.Exif(), comment, (0, 0)), "EXIF"
        notes.append(f"JPEG has no room for {lost}")
    for name, limit in (("xmp", MARKER_BYTES - _XMP_HEAD_BYTES), ("comment", MARKER_BYTES)):
        if len(options.get(name, b"")) > limit:
            del options[name]
            notes.append(f"JPEG has no room for the {name.replace('xmp', 'XMP')}")
    return notes
