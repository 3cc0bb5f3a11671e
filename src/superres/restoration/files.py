"""Picture files as people have them: read with what they say about themselves, written with it.

What Pillow cannot keep: 16 bits per channel of colour (it reads 8 of them), CMYK (it becomes sRGB),
palettes and bitmaps (they become colours and grey levels), all but the first picture of a file.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, PngImagePlugin

from superres.errors import SuperresError
from superres.images import UnreadableImage, decoding
from superres.restoration.metadata import KEY, kept_exif, with_comment
from superres.restoration.pictures import Picture, from_pil, to_pil
from superres.storage import write_bytes

QUALITY = 95
"""Of lossy formats. The input's own would put back what was just taken out."""

HEIF = frozenset((".heic", ".heif"))


@dataclass(frozen=True)
class Format:
    """What a kind of file can hold.

    Args:
        name: Pillow's.
        modes: of images that it stores without loss of depth, colour or alpha.
        limit: largest edge in pixels.
        options: for Pillow, beside quality and metadata.
    """

    name: str
    modes: tuple[str, ...]
    limit: int
    options: dict[str, Any] = field(default_factory=dict)


_JPEG = Format("JPEG", ("L", "RGB"), 65535, {"quality": QUALITY, "subsampling": 0})
_TIFF = Format("TIFF", ("L", "LA", "RGB", "RGBA", "I;16"), 2**31)
"""Not compressed: through libtiff, which compresses, Pillow cannot write EXIF."""
_PNM = Format("PPM", ("L", "RGB"), 2**31)
PNG = Format("PNG", ("L", "LA", "RGB", "RGBA", "I;16"), 2**31)

FORMATS: dict[str, Format] = {
    ".png": PNG,
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), _JPEG),
    **dict.fromkeys((".tif", ".tiff"), _TIFF),
    ".webp": Format("WEBP", ("L", "LA", "RGB", "RGBA"), 16383, {"quality": QUALITY, "exact": True}),
    ".bmp": Format("BMP", ("L", "RGB", "RGBA"), 2**31),
    ".avif": Format("AVIF", ("L", "LA", "RGB", "RGBA"), 65536, {"quality": QUALITY}),
    ".jp2": Format("JPEG2000", ("L", "LA", "RGB", "RGBA", "I;16"), 2**31),
    **dict.fromkeys((".ppm", ".pgm", ".pnm"), _PNM),
    **dict.fromkeys(HEIF, Format("HEIF", ("L", "LA", "RGB", "RGBA"), 65535, {"quality": QUALITY})),
}
"""By suffix. What is readable and not here (GIF) becomes PNG."""


@dataclass(frozen=True)
class PictureFile:
    """A picture as read, with what its file says about it.

    Args:
        picture: upright pixels.
        info: Pillow's, for what is written again: profile, EXIF, XMP, resolution, texts.
        notes: what could not be read as it was.
    """

    picture: Picture
    info: dict[str, Any]
    exif: Image.Exif
    notes: tuple[str, ...] = ()


def read_picture(path: str | Path) -> PictureFile:
    """Return a file's picture, upright, at the depth that Pillow gives.

    Raises:
        UnreadableImage: as `superres.images.read_image`; HEIC without pillow-heif.
    """
    path = Path(path)
    if path.suffix.lower() in HEIF:
        _register_heif(path)
    with decoding(path) as image:
        notes = _notes(image)
        exif = kept_exif(image)
        upright = ImageOps.exif_transpose(image)
        try:
            picture = from_pil(upright)
        except SuperresError as error:
            raise UnreadableImage(path, str(error)) from error
        info = {
            **{str(key): value for key, value in upright.info.items()},
            "text": dict(getattr(image, "text", {})),
        }
    if image.mode == "CMYK":
        info.pop("icc_profile", None)
    return PictureFile(picture, info, exif, notes)


def target(path: str | Path, picture: Picture, scale: int) -> Path:
    """Return where the enlarged picture goes: the path, or as PNG if its format cannot hold it."""
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    mode = _mode(picture)
    edge = max(picture.size) * scale
    if kind is not None and mode in kind.modes and edge <= kind.limit:
        return path
    return path.with_suffix(".png")


def write_picture(path: str | Path, picture: Picture, source: PictureFile, comment: str) -> None:
    """Write a picture with what its source said about itself and a comment; all or nothing.

    Args:
        path: its suffix decides the format; see `target`.
        picture: the pixels.
        source: where it came from.
        comment: ASCII; into PNG's text, or EXIF's UserComment where the format has EXIF.

    Raises:
        OSError: a folder that cannot be written to, a full disk.
        SuperresError: a format that cannot hold the picture.
    """
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    image = to_pil(picture)
    if kind is None or image.mode not in kind.modes:
        raise SuperresError(f"{path}: the format cannot hold a picture of mode {image.mode}")
    if path.suffix.lower() in HEIF:
        _register_heif(path)
    options: dict[str, Any] = {**kind.options, "icc_profile": source.info.get("icc_profile")}
    if source.info.get("dpi") and kind.name in ("PNG", "JPEG", "TIFF", "BMP"):
        options["dpi"] = source.info["dpi"]
    if kind.name == "PNG":
        options["pnginfo"] = _texts(source, comment)
        options["exif"] = source.exif.tobytes() if len(source.exif) else None
    elif kind.name in ("JPEG", "WEBP", "TIFF", "AVIF", "HEIF"):
        options["exif"] = with_comment(source.exif, comment, picture.size)
        if source.info.get("xmp") and kind.name != "TIFF":
            options["xmp"] = source.info["xmp"]
        if kind.name == "JPEG" and source.info.get("comment"):
            options["comment"] = source.info["comment"]
    file = io.BytesIO()
    wanted = {name: value for name, value in options.items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        image.save(file, kind.name, **wanted)
    write_bytes(path, file.getvalue())


def _mode(picture: Picture) -> str:
    if picture.levels.dtype.itemsize == 2 and picture.grey and picture.alpha is None:
        return "I;16"
    return ("L" if picture.grey else "RGB") + ("" if picture.alpha is None else "A")


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


def _notes(image: Image.Image) -> tuple[str, ...]:
    notes = []
    if any(
        ";16" in str(tile[3]) for tile in getattr(image, "tile", ())
    ) and not image.mode.startswith("I"):
        notes.append("16 bits per channel read as 8, as Pillow does")
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"the first of {frames} pictures in the file")
    if image.mode == "CMYK":
        notes.append("CMYK became sRGB")
    return tuple(notes)


def _register_heif(path: Path) -> None:
    try:
        import pillow_heif  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise UnreadableImage(
            path, "HEIC needs pillow-heif: pip install 'superres[heif]'"
        ) from error
    pillow_heif.register_heif_opener()
