"""Picture files that tests write, and what they look at in those that are written."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms

RNG = np.random.default_rng(0)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
AVERAGE = 3


def pixels(*shape: int, kind: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(kind).max + 1, shape, dtype=kind)


def picture(path: Path, *shape: int, **options: Any) -> Path:
    """Write a random picture, by default 10 x 12 in colour, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(*(shape or (10, 12, 3)))).save(path, **options)
    return path


def smooth(channels: int, height: int = 9, width: int = 14) -> np.ndarray:
    """Return 16-bit pixels whose lower bytes say something."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows / 5 + index) + np.cos(columns / 6 - index) for index in range(channels)]
    return np.rint((np.stack(waves, axis=2) / 4 + 0.5) * 60000 + 2000).astype(np.uint16)


def enlarged(levels: np.ndarray, white: int) -> np.ndarray:
    """Return levels, (H, W, channels), at twice the size, bicubic: float64."""
    signal = torch.tensor(levels.astype(np.float64)).permute(2, 0, 1)[None]
    large = F.interpolate(signal, scale_factor=2, mode="bicubic", align_corners=False)
    return large[0].permute(1, 2, 0).clamp(0, white).numpy()


def kind_of(path: Path) -> tuple[str | None, str, tuple[int, int]]:
    with Image.open(path) as image:
        image.load()
        return image.format, image.mode, image.size


def png_of(samples: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return 16-bit samples, (H, W, channels), as the simplest PNG file, with more chunks."""
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    said = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in said
    )


def samples_of_png(path: Path) -> np.ndarray:
    """Return a 16-bit PNG's samples, read by the specification: filter 3 alone."""
    content, place, packed = path.read_bytes(), 8, b""
    width, height, depth, kind = struct.unpack_from(">IIBB", content, 16)
    assert depth == 16
    while place < len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        packed += content[place + 8 : place + 8 + length] if name == b"IDAT" else b""
        place += length + 12
    channels = {number: count for count, number in COLOUR_TYPES.items()}[kind]
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, -1).astype(int)
    assert (rows[:, 0] == AVERAGE).all()
    step = 2 * channels
    found = np.zeros((height + 1, step * (width + 1)), int)
    for row in range(height):
        for column in range(step, step * (width + 1)):
            around = found[row + 1, column - step] + found[row, column]
            found[row + 1, column] = (rows[row, 1 + column - step] + around // 2) % 256
    samples = found[1:, step:].astype(np.uint8).view(">u2")
    return samples.reshape(height, width, channels).astype(np.uint16)


def samples_of_file(path: Path) -> np.ndarray:
    """Return a 16-bit PNG's or TIFF's samples, read without the code under test."""
    if path.suffix == ".png":
        return samples_of_png(path)
    with tifffile.TiffFile(path) as file:
        return file.pages[0].asarray()
