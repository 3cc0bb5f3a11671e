"""Picture files as people have them: read with what they say about themselves, written with it.

What is not kept: CMYK (it becomes sRGB), palettes and bitmaps (they become colours and grey
levels), all but the first picture of a file, and 16 bits of colour outside of PNG and TIFF.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin
from PIL.ExifTags import Base

from superres.core.errors import SuperresError
from superres.core.images import UnreadableImage, decoding, register_heif
from superres.core.orientation import RAW_PROFILES, upright
from superres.core.pixels_16_bit import colours_of_16_bits
from superres.core.storage import write_bytes
from superres.restoration.colour_spaces import colour_chunks, outside_png, srgb_of_adobe
from superres.restoration.formats import FORMATS, Format, mode_of
from superres.restoration.metadata import (
    KEY,
    exif_of_output,
    fit_jpeg,
    for_tiff,
    is_adobe_rgb,
    is_empty,
    kept_exif,
    kept_info,
    with_comment,
)
from superres.restoration.picture import Picture, from_array, from_pil, samples_of, to_pil
from superres.restoration.sixteen_bit import encode_png, encode_tiff

_XMP_TEXT = "XML:com.adobe.xmp"
_NO_TEXTS = frozenset((KEY, _XMP_TEXT, "exif", *RAW_PROFILES))
"""Names of PNG's texts that are no texts, or our own."""


@dataclass(frozen=True)
class PictureFile:
    """A picture as read, with what its file says about it.

    Args:
        picture: upright pixels.
        info: Pillow's, for what is written again: profile, XMP, resolution, comment, and `text`.
        exif: without what describes the old pixels.
        notes: what could not be read as it was.
        colours: PNG's chunks that say what levels mean.
    """

    picture: Picture
    info: dict[str, Any]
    exif: Image.Exif
    notes: tuple[str, ...] = ()
    colours: Mapping[bytes, bytes] = field(default_factory=dict)


def read_picture(path: str | Path) -> PictureFile:
    """Return a file's picture, upright, at its depth where that can be had; see the notes.

    Raises:
        UnreadableImage: as `superres.core.images.read_image`; HEIC without pillow-heif.
    """
    path = Path(path)
    with decoding(path) as image:
        bits = _bits(image)
        try:
            # While the file is not loaded: EXIF may lie behind the pixels.
            wide = colours_of_16_bits(image, lambda other: decoding(path, other))
            notes = _notes(image)
            exif = kept_exif(image)
            picture = from_pil(upright(image)) if wide is None else from_array(wide)
        except UnreadableImage:
            raise
        except SuperresError as error:
            raise UnreadableImage(path, str(error)) from error
        info = {**kept_info(image), "text": dict(getattr(image, "text", {}))}
        if bits > picture.bits:
            notes += (f"{bits} bits per channel read as {picture.bits}",)
        colours = colour_chunks(path) if image.format == "PNG" else {}
    return PictureFile(picture, info, exif, notes, colours)


def write_picture(
    path: str | Path,
    picture: Picture,
    source: PictureFile,
    comment: str,
    before: Callable[[bytes], object] | None = None,
) -> tuple[str, ...]:
    """Write a picture with what its source said about itself and a comment; all or nothing.

    Args:
        path: its suffix decides the format; see `superres.restoration.formats.target`.
        picture: the pixels.
        source: where it came from.
        comment: ASCII; into PNG's text, or EXIF's UserComment where the format has EXIF.
        before: called with the file's bytes before they are written.

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
    if picture.bits > 8 and mode not in kind.wide:
        notes.append(f"{picture.bits} bits per channel written as 8, which is what {kind.name} has")
        picture = picture.in_8_bits()
    profile = source.info.get("icc_profile")
    if kind.name != "PNG":
        profile, lost = outside_png(source.colours, picture, profile, kind.profile)
        if lost:
            notes.append(f"{kind.name} has no place for PNG's {' and '.join(lost)}")
    if not profile and not kind.exif and is_adobe_rgb(source.exif):
        picture = srgb_of_adobe(picture)
        notes.append(f"Adobe RGB became sRGB: {kind.name} has no place for EXIF, which says so")
    if profile and not kind.profile:
        notes.append(f"{kind.name} has no place for the colour profile")
    options = _options(kind, source, comment, picture.size)
    if profile and kind.profile:
        options["icc_profile"] = profile
    if kind.name == "JPEG":
        notes += fit_jpeg(options, comment)
    try:
        content = _encoded(kind, picture, options)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # encoders raise anything over metadata that they do not like
        raise SuperresError(f"{path}: cannot be written as {kind.name}: {error}") from error
    if before is not None:
        before(content)
    write_bytes(path, content)
    return tuple(notes)


def _options(
    kind: Format, source: PictureFile, comment: str, size: tuple[int, int]
) -> dict[str, Any]:
    """Return options of Pillow's writer: quality, and what is kept of the source."""
    info = source.info
    options: dict[str, Any] = dict(kind.options)
    if kind.name in ("PNG", "JPEG", "TIFF", "BMP"):
        options["dpi"] = info.get("dpi")
    if kind.name == "PNG":
        options["pnginfo"] = _texts(source, comment)
        options["exif"] = (
            None if is_empty(source.exif) else exif_of_output(source.exif, size).tobytes()
        )
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
        if kind.name == "TIFF":
            options = {**options, "exif": for_tiff(options["exif"])}
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


def _texts(source: PictureFile, comment: str) -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    for chunk, content in source.colours.items():
        texts.add(chunk, content)
    for name, value in source.info["text"].items():
        if name not in _NO_TEXTS:
            texts.add_itxt(name, str(value))
    if xmp := source.info.get("xmp"):
        texts.add_itxt(_XMP_TEXT, xmp)
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
