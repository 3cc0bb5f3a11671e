"""EXIF: what an enlarged picture keeps of it, and a note of what was done."""

from __future__ import annotations

from PIL import Image
from PIL.ExifTags import IFD, Base

USER_COMMENT = Base.UserComment
ASCII = b"ASCII\0\0\0"
KEY = "superres"
"""Of PNG's text, and the first of a comment's own."""
MARK = f'{{"{KEY}": '.encode()
"""What our comments begin with; an older one makes room for the new."""

_STRUCTURE = frozenset(
    (
        *range(0x00FE, 0x010B),  # sizes, bits, compression, photometric interpretation
        *(0x0111, 0x0112, 0x0115, 0x0116, 0x0117, 0x011C, 0x013D, 0x0140, 0x0142, 0x0143),
        *(0x0144, 0x0145, 0x014A, 0x0152, 0x0153, 0x0155, 0x0156, 0x015B, 0x0201, 0x0202),
        *(0x0211, 0x0212, 0x0213, 0x02BC, 0x8649, 0x8773),
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


def with_comment(exif: Image.Exif, comment: str, size: tuple[int, int]) -> bytes:
    """Return EXIF with a comment after the photographer's own and the size in pixels it now has.

    Args:
        exif: as `kept_exif` returns it; stays as it is.
        comment: ASCII.
        size: height and width.
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
    return changed.tobytes()
