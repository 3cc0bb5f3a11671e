"""Near-duplicates: photographs that look the same belong in one split.

A perceptual hash says how a photograph looks: the signs, about their median, of the 8 x 8 lowest
frequencies of its 32 x 32 luma (Zauner, "Implementation and benchmarking of perceptual image hash
functions", 2010). Recompressing, resizing and mild retouching change few of its 64 bits; unrelated
photographs differ in about 32.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image
from scipy.fft import dctn

MAX_DISTANCE = 4
"""Bits in which the hashes of near-duplicates differ at most."""
MIN_DEVIATION = 2.0
"""8-bit levels; the hash of a flatter picture (a clear sky) would be the hash of its noise."""
_EDGE = 32
_LOW = 8


def perceptual_hash(picture: Image.Image) -> int | None:
    """Return the 64-bit hash of a picture in mode RGB; None where it is nearly flat."""
    small = picture.resize((_EDGE, _EDGE), Image.Resampling.BOX, reducing_gap=None)
    luma = np.asarray(small.convert("L"), np.float64)
    if luma.std() < MIN_DEVIATION:
        return None
    low = dctn(luma)[:_LOW, :_LOW].ravel()
    bits = low > np.median(low[1:])  # without the mean, which would shift the median
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_groups(hashes: list[int | None]) -> list[int]:
    """Return for each hash the number of its group: equal where a chain of near-duplicates links.

    Hashes that differ in at most `MAX_DISTANCE` bits agree in at least one of `MAX_DISTANCE + 1`
    bands of bits, so only those that share a band are compared: linear in practice, where all
    pairs would be quadratic.
    """
    known = np.array(sorted({value for value in hashes if value is not None}), np.uint64)
    parents = np.arange(len(known))
    bands = MAX_DISTANCE + 1
    edges = np.linspace(0, 64, bands + 1).round().astype(int)
    for low, high in pairwise(edges):
        keys = (known >> np.uint64(low)) & np.uint64(2 ** int(high - low) - 1)
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=np.uint64(0))).tolist()
        for bucket in np.split(order, starts):
            for place in range(len(bucket) - 1):
                others = bucket[place + 1 :]
                distances = np.bitwise_count(known[others] ^ known[bucket[place]])
                for other in others[distances <= MAX_DISTANCE]:
                    _join(parents, int(bucket[place]), int(other))
    places = {int(value): place for place, value in enumerate(known)}
    return [
        -1 - number if value is None else _root(parents, places[value])
        for number, value in enumerate(hashes)
    ]


def _root(parents: np.ndarray, place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = int(parents[place])
    return place


def _join(parents: np.ndarray, one: int, other: int) -> None:
    first, second = sorted((_root(parents, one), _root(parents, other)))
    parents[second] = first
