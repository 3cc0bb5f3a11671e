"""Where tiles lie in a photograph, and how sharp each is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BT601 = (0.299, 0.587, 0.114)
"""Weights of R, G and B in luma (ITU-R BT.601)."""


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
    starts = positions(width, tile, stride, flush)
    tiles = []
    for y in positions(height, tile, stride, flush):
        # one band of tiles at a time: a whole photograph in float32 would be four times its size
        curvature = laplacian(luma(image[y : y + tile]))
        for x in starts:
            tiles.append(Tile(x, y, _deviation(curvature[:, x : x + tile - 2])))
    return tiles


def sharpness(tile: np.ndarray) -> float:
    """Return the standard deviation of a tile's Laplacian of luma, in 8-bit levels.

    Blurred and empty tiles have little: a clear sky is near 0, a detailed photograph at 10 and
    more (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000).
    """
    return _deviation(laplacian(luma(tile)))


def luma(image: np.ndarray) -> np.ndarray:
    """Return luma, float32, H x W, in 8-bit levels, of uint8 RGB pixels, H x W x 3."""
    red, green, blue = np.moveaxis(image.astype(np.float32), 2, 0)
    return BT601[0] * red + BT601[1] * green + BT601[2] * blue


def laplacian(grey: np.ndarray) -> np.ndarray:
    """Return the four-neighbour Laplacian where all neighbours exist: H x W -> H-2 x W-2."""
    neighbours = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return neighbours - 4 * grey[1:-1, 1:-1]


def _deviation(values: np.ndarray) -> float:
    return float(values.std(dtype=np.float64))
