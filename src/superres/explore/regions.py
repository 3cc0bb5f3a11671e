"""Pictures larger than a tile, put together of neighbouring test tiles."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from superres.data.tile_grid import positions


class Region(NamedTuple):
    """A square of test tiles that lie side by side in one photograph."""

    source: str
    """The photograph."""
    items: np.ndarray
    """Positions of the tiles among the test pairs, n x n, as they lie."""


def find_regions(rows: pd.DataFrame, tile_px: int, edge: int) -> list[Region]:
    """Return the sharpest square of `edge` x `edge` tiles of every photograph that has any.

    Tiles that were dropped leave holes: a photograph large enough may still have no such square.

    Args:
        rows: `source`, `x`, `y` and `sharpness` of tiles, numbered from 0.
        tile_px: edge of a tile.
        edge: tiles along an edge of the square.

    Returns:
        Sharpest (by the mean of its tiles) first; of equals the one further up, then left.
    """
    found = []
    for source, tiles in rows.groupby("source"):
        places = {(int(x), int(y)): int(item) for item, x, y in tiles[["x", "y"]].itertuples()}
        squares = []
        for x, y in places:
            corners = product(range(edge), repeat=2)
            inside = [(x + tile_px * right, y + tile_px * down) for down, right in corners]
            if all(place in places for place in inside):
                items = np.array([places[place] for place in inside])
                sharpness = float(rows["sharpness"].iloc[items].mean())
                squares.append((-sharpness, y, x, items))
        if squares:
            best = min(squares, key=lambda square: square[:3])
            found.append((best[:3], str(source), best[3].reshape(edge, edge)))
    found.sort(key=lambda region: (region[0][0], region[1]))
    return [Region(source, items) for _, source, items in found]


def assemble(tiles: np.ndarray) -> np.ndarray:
    """Return one picture of tiles (rows x columns x H x W x C) laid side by side."""
    rows, columns, height, width, channels = tiles.shape
    laid = tiles.transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(laid.reshape(rows * height, columns * width, channels))


def cut_apart(picture: np.ndarray, edge: int) -> np.ndarray:
    """Return `edge` x `edge` equal tiles of a square picture, row by row; undoes `assemble`."""
    size = picture.shape[0] // edge
    laid = picture.reshape(edge, size, edge, size, picture.shape[2])
    return np.ascontiguousarray(laid.transpose(0, 2, 1, 3, 4).reshape(-1, size, size, 3))


def windows(edge: int, size: int) -> list[tuple[int, int]]:
    """Return where windows of `size` x `size` tiles begin that cover `edge` x `edge` tiles.

    They lie side by side; where `size` does not divide `edge`, the last of a row or column
    overlaps the one before.

    Returns:
        (row, column) in tiles.
    """
    starts = positions(edge, size, size, flush=True)
    return list(product(starts, starts))
