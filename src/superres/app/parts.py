"""Which part of a picture is looked at."""

from __future__ import annotations

import numpy as np

from superres.restoration.entropy_sheet import place_of_most_detail
from superres.restoration.picture import Picture

BLOCK = 8
"""Parts begin on multiples of this many pixels, as JPEG's blocks do."""

Part = tuple[slice, slice]
"""Rows and columns."""


def part_of(picture: Picture, across: float, down: float, edge: int) -> tuple[slice, slice]:
    """Return rows and columns of the part that lies at shares of a picture, in [0, 1]."""
    here = []
    for length, share in zip(picture.size, (down, across), strict=True):
        room = max(0, length - edge)
        first = round(share * room / BLOCK) * BLOCK if share < 1 else room
        first = min(first, room)
        here.append(slice(first, min(first + edge, length)))
    return here[0], here[1]


def cut(picture: Picture, here: tuple[slice, slice]) -> Picture:
    """Return a part of a picture, with its alpha."""
    alpha = None if picture.alpha is None else np.ascontiguousarray(picture.alpha[here])
    return Picture(np.ascontiguousarray(picture.levels[here]), alpha)


def share_of_most_detail(picture: Picture, edge: int) -> tuple[float, float]:
    """Return where the part with most detail lies: across and down, in [0, 1]."""
    row, column = place_of_most_detail(picture, edge)
    height, width = (max(1, length - edge) for length in picture.size)
    return min(1.0, column / width), min(1.0, row / height)
