"""Any image file as 8-bit RGB pixels, and pixels as a PNG file.

How a file becomes RGB:

- the orientation in EXIF or XMP is applied, so that pixels are as the photographer saw them;
- transparent pixels are composited on white, the paper most such pictures are drawn for;
- 16 bits of grey and colour are rounded to 8 (Pillow by itself clips the one to white and cuts the
  lower bits off the other);
- palette, 1-bit, greyscale and CMYK go through Pillow's conversion; colour profiles are ignored;
- of an animation or a file of several pages, the first picture counts;
- HEIC is known by its content and needs pillow-heif;
- floating-point pictures are refused: nothing in the file says which value is white.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from superres.core.errors import SuperresError
from superres.core.orientation import upright
from superres.core.pixels_16_bit import colours_of_16_bits, greys_of_16_bits, in_8_bits

HEIF = frozenset((".heic", ".heif"))
SUFFIXES = HEIF | frozenset(
    (
        *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
    )
)
"""What the names of image files end in, in lower case."""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's decoders behind those names, whatever a file is called; its others (EPS runs
Ghostscript) are never given a stranger's file."""

_warning_filters = threading.Lock()


class _TextLimits:
    """How long texts of PNG files may be that are being read, in bytes."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pillows = (0, 0)
        """In one text and in all, while none of ours is being read."""
        self.in_use: list[int] = []


_text_limits = _TextLimits()


class UnreadableImage(SuperresError):  # noqa: N818 - it names the file's state, as FileNotFound
    """A file that cannot be decoded whole: `path`, and `reason` in one line."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(path, reason)  # both, so that it survives pickling between processes
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class NoImage(UnreadableImage):
    """An empty file, or one in none of the known formats."""


def read_image(
    path: str | Path, content: bytes | None = None, max_megapixels: float | None = None
) -> np.ndarray:
    """Return the pixels of an image file as RGB: uint8, H x W x 3, in [0, 255], contiguous.

    Takes and raises what `read_picture` does.
    """
    return np.array(read_picture(path, content, max_megapixels))


def read_picture(
    path: str | Path, content: bytes | None = None, max_megapixels: float | None = None
) -> Image.Image:
    """Return an image file decoded whole, upright and in Pillow's mode RGB.

    Args:
        path: the file.
        content: its bytes, where they are not to be read from there (an archive's member).
        max_megapixels: refuse larger pictures by their header, before memory is spent on pixels.

    Raises:
        NoImage: empty, or in none of `FORMATS`, nor HEIC.
        UnreadableImage: not there, truncated, a mode without a defined range, HEIC without
            pillow-heif, or more pixels than `max_megapixels` or than Pillow agrees to decode
            (`2 * PIL.Image.MAX_IMAGE_PIXELS`, 179 megapixels), bounds that keep decompression
            bombs out of memory.
    """
    path = Path(path)
    with decoding(path, content) as image:
        megapixels = image.width * image.height / 1e6
        if max_megapixels is not None and megapixels > max_megapixels:
            raise UnreadableImage(
                path, f"{megapixels:.1f} megapixels, more than the limit of {max_megapixels:g}"
            )
        return _rgb(image, path, content)


@contextmanager
def decoding(path: Path, content: bytes | None = None) -> Iterator[Image.Image]:
    """Open an image file for a block in which whatever a decoder raises becomes one kind of error.

    Args:
        path: the file.
        content: its bytes, where they are not to be read from there.

    Raises:
        UnreadableImage: see `read_picture`.
    """
    try:
        size = path.stat().st_size if content is None else len(content)
        if size == 0:
            raise NoImage(path, "the file is empty")
        formats: tuple[str, ...] = FORMATS
        if _is_heif(path, content):
            register_heif(path)
            formats = (*FORMATS, "HEIF")
        file = path if content is None else io.BytesIO(content)
        with _texts_up_to(size), _open(file, formats) as image:
            yield image
    except UnreadableImage:
        raise
    except Image.UnidentifiedImageError as error:
        raise NoImage(path, "not an image in a known format") from error
    except Exception as error:  # decoders raise anything, from struct.error to IndexError
        raise UnreadableImage(path, _reason(error)) from error


def encode_png(image: np.ndarray) -> bytes:
    """Return pixels (uint8, H x W x 3 or H x W) as a PNG file; equal pixels give equal bytes."""
    if image.dtype != np.uint8:
        raise ValueError(f"a PNG is written from uint8, got {image.dtype}")
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "PNG", compress_level=9)
    return file.getvalue()


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


def _is_heif(path: Path, content: bytes | None) -> bool:
    """Whether a file says it is HEIC, whatever its name: telephones name some of them JPEG."""
    if content is None:
        with path.open("rb") as file:
            content = file.read(64)
    head = content[:64]
    return head[4:8] == b"ftyp" and any(brand in head[8:] for brand in (b"heic", b"heix", b"hev"))


@contextmanager
def _texts_up_to(size: int) -> Iterator[None]:
    """Let PNG files have texts and profiles as long as the file, within a block.

    Pillow refuses more than 1 MiB in one, and 64 MiB in all. The latter bounds what a small file
    can unpack into; a larger file may say as much as it weighs. The limits are shared by all
    threads: the highest that is in use applies, and Pillow's own afterwards.
    """
    limits = _text_limits
    with limits.lock:
        if not limits.in_use:
            limits.pillows = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
        limit = max(size, *limits.pillows)
        limits.in_use.append(limit)
        PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = max(limits.in_use)
    try:
        yield
    finally:
        with limits.lock:
            limits.in_use.remove(limit)
            now = (max(limits.in_use),) * 2 if limits.in_use else limits.pillows
            PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = now


def _open(file: Path | io.BytesIO, formats: tuple[str, ...]) -> Image.Image:
    """Open without Pillow's warning at half its limit: 100-megapixel cameras are no attack."""
    with _warning_filters, warnings.catch_warnings():  # the filters are shared by all threads
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(file, formats=formats)


def _rgb(image: Image.Image, path: Path, content: bytes | None) -> Image.Image:
    if image.mode == "F":
        raise UnreadableImage(path, "floating-point pixels have no defined range")
    samples = colours_of_16_bits(image, lambda other: decoding(path, other or content))
    if samples is None:
        image = upright(image)
        samples = greys_of_16_bits(image) if image.mode.startswith("I") else None
    if samples is not None:
        levels = in_8_bits(samples)
        image = Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels)
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
