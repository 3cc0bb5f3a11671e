"""Where tiles lie in a photograph, and how sharp each is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import pairwise, repeat
from typing import NamedTuple

import numpy as np

from superres.core.color import full_luma


class Tile(NamedTuple):
    """A square cut from a photograph."""

    x: int
    y: int
    """Left and top edge in pixels."""
    sharpness: float
    """See `sharpness`."""


def positions(length: int, tile: int, stride: int, flush: bool) -> list[int]:
    """Return where tiles begin along one edge of a photograph, in pixels.

    Args:
        length: the edge; at least `tile`.
        tile: edge of a tile.
        stride: distance between neighbouring tiles.
        flush: add a last tile that ends with the edge where the grid does not, so that with
            `stride <= tile` every pixel is in some tile. Without it, what is left over at the end
            is in none.
    """
    starts = list(range(0, length - tile + 1, stride))
    last = length - tile
    if flush and starts[-1] != last:
        starts.append(last)
    return starts


def cut(image: np.ndarray, tile: int, stride: int, flush: bool) -> list[Tile]:
    """Return the tiles of a photograph (uint8, H x W x 3), row by row; see `positions`."""
    height, width = image.shape[:2]
    columns = positions(width, tile, stride, flush)
    inner = tile - 2  # rows and columns that the Laplacian has
    below = np.array(columns)[:, np.newaxis] + np.arange(inner)
    tiles: list[Tile] = []
    for y, sums in _sums_of_rows(image, positions(height, tile, stride, flush), inner):
        windows = sums.take(below, axis=1).sum(axis=2)
        mean, square = windows / inner**2
        variance = square - mean**2
        deviations = np.sqrt(variance.clip(0)).tolist()
        # the difference of two like numbers has few digits: nearly flat tiles by definition
        for place in np.flatnonzero((variance <= 1e-4 * square) & (square != 0)):
            x = columns[place]
            deviations[place] = sharpness(image[y : y + tile, x : x + tile])
        tiles += map(Tile, columns, repeat(y), deviations)
    return tiles


def _sums_of_rows(
    image: np.ndarray, starts: list[int], inner: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield for each row of tiles where it begins and the sums down each of its columns.

    They are float64, 2 x W-2: of the Laplacian and of its square. Rows of tiles overlap, so that
    each line of pixels is worked on once, in strips between the places where some tile begins or
    ends; no more of them are held than a tile is high: a whole photograph in float32 would be four
    times its size.
    """
    edges = sorted({edge for start in starts for edge in (start, start + inner)})
    strips = deque(pairwise(edges))
    held: deque[tuple[int, np.ndarray]] = deque()
    for start in starts:
        while strips and strips[0][1] <= start + inner:
            begin, end = strips.popleft()
            if begin >= start:  # otherwise between two rows of tiles, in neither
                held.append((begin, _sums_of_strip(image[begin : end + 2])))
        while held[0][0] < start:
            held.popleft()
        yield start, np.sum([sums for _, sums in held], axis=0)


def _sums_of_strip(strip: np.ndarray) -> np.ndarray:
    curvature = laplacian(full_luma(strip)).astype(np.float64)
    return np.stack([curvature.sum(axis=0), np.einsum("yx,yx->x", curvature, curvature)])


def sharpness(tile: np.ndarray) -> float:
    """Return the standard deviation of a tile's Laplacian of luma, in 8-bit levels.

    Blurred and empty tiles have little: a clear sky is near 0, a detailed photograph at 10 and
    more (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000).
    """
    return _deviation(laplacian(full_luma(tile)))


def laplacian(grey: np.ndarray) -> np.ndarray:
    """Return the four-neighbour Laplacian where all neighbours exist: H x W -> H-2 x W-2."""
    height, width = grey.shape
    pixels = np.ascontiguousarray(grey).reshape(-1)
    # all lines as one, with two values at the end of each that see the next: longer inner loops
    count = (height - 2) * width - 2
    result = np.empty((height - 2, width), np.float32)
    line = result.reshape(-1)[:count]
    np.add(pixels[1 : 1 + count], pixels[2 * width + 1 :][:count], out=line)
    line += pixels[width:][:count]
    line += pixels[width + 2 :][:count]
    line -= 4 * pixels[width + 1 :][:count]
    return result[:, : width - 2]


def _deviation(values: np.ndarray) -> float:
    return float(np.ascontiguousarray(values).std(dtype=np.float64))
