"""Picture files as people have them: read with what they say about themselves, written with it.

What is not kept: CMYK (it becomes sRGB), palettes and bitmaps (they become colours and grey
levels), all but the first picture of a file, and 16 bits of colour outside of PNG and TIFF.
"""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin
from PIL.ExifTags import Base

from superres.core.errors import SuperresError
from superres.core.images import FORMATS as READ
from superres.core.images import UnreadableImage, decoding
from superres.core.storage import write_bytes
from superres.restoration.formats import FORMATS, Format, mode_of
from superres.restoration.metadata import KEY, fit_jpeg, kept_exif, with_comment
from superres.restoration.picture import Picture, from_pil, samples_of, to_pil
from superres.restoration.sixteen_bit import encode_png, encode_tiff, read_deep, white_is_high

_PROFILES_OF_OTHER_COLOURS = ("CMYK", "LAB")
"""Modes that become RGB, which their profile does not describe."""


@dataclass(frozen=True)
class PictureFile:
    """A picture as read, with what its file says about it.

    Args:
        picture: upright pixels.
        info: Pillow's, for what is written again: profile, EXIF, XMP, resolution, texts.
        exif: without what describes the old pixels.
        notes: what could not be read as it was.
    """

    picture: Picture
    info: dict[str, Any]
    exif: Image.Exif
    notes: tuple[str, ...] = ()


def read_picture(path: str | Path) -> PictureFile:
    """Return a file's picture, upright, at its depth where that can be had; see the notes.

    Raises:
        UnreadableImage: as `superres.core.images.read_image`; HEIC without pillow-heif.
    """
    path = Path(path)
    formats: tuple[str, ...] = READ
    if _is_heif(path):
        register_heif(path)
        formats = (*READ, "HEIF")
    with decoding(path, formats=formats) as image:
        bits = _bits(image)
        try:
            # While the file is not loaded: EXIF may lie behind the pixels.
            deep = read_deep(path, image) if bits > 8 else None
            notes = _notes(image)
            exif = kept_exif(image)
            upright = ImageOps.exif_transpose(image)
            picture = deep or white_is_high(image, from_pil(upright))
        except UnreadableImage:
            raise
        except SuperresError as error:
            raise UnreadableImage(path, str(error)) from error
        info = {
            **{str(key): value for key, value in upright.info.items()},
            "text": dict(getattr(image, "text", {})),
        }
        if bits > picture.bits:
            notes += (f"{bits} bits per channel read as {picture.bits}",)
    if image.mode in _PROFILES_OF_OTHER_COLOURS:
        info.pop("icc_profile", None)
    return PictureFile(picture, info, exif, notes)


def write_picture(
    path: str | Path, picture: Picture, source: PictureFile, comment: str
) -> tuple[str, ...]:
    """Write a picture with what its source said about itself and a comment; all or nothing.

    Args:
        path: its suffix decides the format; see `superres.restoration.formats.target`.
        picture: the pixels.
        source: where it came from.
        comment: ASCII; into PNG's text, or EXIF's UserComment where the format has EXIF.

    Returns:
        What the format could not hold, for people.

    Raises:
        OSError: a folder that cannot be written to.
        SuperresError: a full disk, a format that cannot hold the picture.
    """
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    mode = mode_of(picture)
    if kind is None or mode not in kind.modes:
        raise SuperresError(f"{path}: the format cannot hold a picture of mode {mode}")
    if kind.name == "HEIF":
        register_heif(path)
    notes = []
    if picture.bits > 8 and mode not in kind.deep:
        notes.append(f"{picture.bits} bits per channel written as 8, which is what {kind.name} has")
        picture = picture.in_8_bits()
    if source.info.get("icc_profile") and not kind.profile:
        notes.append(f"{kind.name} has no place for the colour profile")
    options = _options(kind, source, comment, picture.size)
    if kind.name == "JPEG":
        notes += fit_jpeg(options, comment)
    try:
        content = _encoded(kind, picture, options)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # encoders raise anything over metadata that they do not like
        raise SuperresError(f"{path}: cannot be written as {kind.name}: {error}") from error
    write_bytes(path, content)
    return tuple(notes)


def _options(
    kind: Format, source: PictureFile, comment: str, size: tuple[int, int]
) -> dict[str, Any]:
    """Return what Pillow's writer is told: quality, and what is kept of the source."""
    info = source.info
    options: dict[str, Any] = dict(kind.options)
    if kind.profile:
        options["icc_profile"] = info.get("icc_profile")
    if kind.name in ("PNG", "JPEG", "TIFF", "BMP"):
        options["dpi"] = _resolution(info.get("dpi"))
    if kind.name == "PNG":
        options["pnginfo"] = _texts(source, comment)
        options["exif"] = source.exif.tobytes() if len(source.exif) else None
    elif kind.exif:
        in_exif = info.get("xmp") if kind.name == "TIFF" else None
        options["exif"] = with_comment(source.exif, comment, size, in_exif)
        options["xmp"] = None if kind.name == "TIFF" else info.get("xmp")
    if kind.name == "JPEG":
        options["comment"] = info.get("comment")
    return {name: value for name, value in options.items() if value is not None}


def _encoded(kind: Format, picture: Picture, options: dict[str, Any]) -> bytes:
    """Return a file's bytes."""
    if picture.bits == 8 or mode_of(picture) == "L":
        return _by_pillow(kind, to_pil(picture), options)
    samples = samples_of(picture)
    if kind.name == "PNG":
        return encode_png(samples, _by_pillow(kind, Image.new("RGB", (1, 1)), options))
    if picture.grey:  # readers of TIFF, Pillow among them, know no 16 bits of grey with alpha
        samples = samples[:, :, [0, 0, 0, 1]]
    return encode_tiff(samples, options["exif"], options)


def _by_pillow(kind: Format, image: Image.Image, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        image.save(file, kind.name, **options)
    return file.getvalue()


def _resolution(dpi: Any) -> tuple[float, float] | None:
    """Return dots per inch, where a file says something that can be true."""
    try:
        across, down = (float(edge) for edge in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    sensible = all(math.isfinite(edge) and 0 < edge < 1e5 for edge in (across, down))
    return (across, down) if sensible else None


def _texts(source: PictureFile, comment: str) -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    for name, value in source.info["text"].items():
        if name != KEY:
            texts.add_itxt(name, str(value))
    xmp = source.info.get("xmp")
    if xmp and "XML:com.adobe.xmp" not in source.info["text"]:
        texts.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    texts.add_text(KEY, comment)
    return texts


def _bits(image: Image.Image) -> int:
    """Return the bits per channel of an opened file, as far as Pillow tells."""
    arguments = [tile.args for tile in getattr(image, "tile", ())]
    raw, *more = next(((args,) if isinstance(args, str) else args for args in arguments), ()) or (
        "",
    )
    tagged = getattr(image, "tag_v2", {}).get(Base.BitsPerSample, 8)
    highest = [8, *np.atleast_1d(tagged), int(image.info.get("bit_depth") or 8)]
    if ";16" in str(raw) or (image.format == "PPM" and more and int(more[0]) > 255):
        highest.append(16)
    return min(16, int(max(highest)))


def _notes(image: Image.Image) -> tuple[str, ...]:
    notes = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"the first of {frames} pictures in the file")
    if image.mode == "CMYK":
        notes.append("CMYK became sRGB")
    return tuple(notes)


def _is_heif(path: Path) -> bool:
    """Whether a file says it is HEIC, whatever its name: telephones name some of them JPEG."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        return False  # who decodes it says why
    return head[4:8] == b"ftyp" and any(brand in head[8:] for brand in (b"heic", b"heix", b"hev"))


def register_heif(path: Path) -> None:
    """Teach Pillow HEIC, for a file that is to be read or written.

    Raises:
        UnreadableImage: pillow-heif is not installed.
    """
    try:
        import pillow_heif  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise UnreadableImage(
            path, "HEIC needs pillow-heif: pip install 'superres[heif]'"
        ) from error
    pillow_heif.register_heif_opener()
