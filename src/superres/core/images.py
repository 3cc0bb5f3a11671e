"""Any image file as 8-bit RGB pixels, and pixels as a PNG file.

How a file becomes RGB:

- the EXIF orientation is applied, so that pixels are the way the photographer saw them;
- transparent pixels are composited on white, the paper most such pictures are drawn for;
- 16-bit greyscale is scaled to 8 bits (Pillow by itself would clip it to white);
- palette, 1-bit, greyscale and CMYK go through Pillow's conversion; colour profiles are ignored;
- of an animation or a file of several pages, the first picture counts;
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
from PIL import Image, ImageOps

from superres.core.errors import SuperresError

SUFFIXES = frozenset(
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
        NoImage: empty, or in none of `FORMATS`.
        UnreadableImage: not there, truncated, a mode without a defined range, or more pixels
            than `max_megapixels` or than Pillow agrees to decode (`2 * PIL.Image.MAX_IMAGE_PIXELS`,
            179 megapixels), bounds that keep decompression bombs out of memory.
    """
    path = Path(path)
    with decoding(path, content, FORMATS) as image:
        megapixels = image.width * image.height / 1e6
        if max_megapixels is not None and megapixels > max_megapixels:
            raise UnreadableImage(
                path, f"{megapixels:.1f} megapixels, more than the limit of {max_megapixels:g}"
            )
        return _rgb(image, path)


@contextmanager
def decoding(
    path: Path, content: bytes | None = None, formats: tuple[str, ...] | None = None
) -> Iterator[Image.Image]:
    """Open an image file for a block in which whatever a decoder raises becomes one kind of error.

    Raises:
        UnreadableImage: see `read_image`.
    """
    try:
        if (path.stat().st_size if content is None else len(content)) == 0:
            raise NoImage(path, "the file is empty")
        with _open(path if content is None else io.BytesIO(content), formats) as image:
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


def _open(file: Path | io.BytesIO, formats: tuple[str, ...] | None) -> Image.Image:
    """Open without Pillow's warning at half its limit: 100-megapixel cameras are no attack."""
    with _warning_filters, warnings.catch_warnings():  # the filters are shared by all threads
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(file, formats=formats)


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)  # else it copies even what is upright
    if image.mode == "F":
        raise UnreadableImage(path, "floating-point pixels have no defined range")
    if image.mode.startswith("I"):
        return _rgb_of_16_bits(np.asarray(image), path)
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _rgb_of_16_bits(grey: np.ndarray, path: Path) -> Image.Image:
    if grey.min() < 0 or grey.max() > 65535:
        raise UnreadableImage(path, "integer pixels beyond 16 bits have no defined range")
    levels = ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 257 = 65535 / 255
    return Image.fromarray(levels).convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
