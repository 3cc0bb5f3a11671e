"""How far a set of tiles is from another as a distribution: sliced Wasserstein distance (SWD).

Karras et al. 2018, "Progressive Growing of GANs", section 5: patches of 7 x 7 pixels of every level
of a Laplacian pyramid, compared along random projections. It needs no network and no weights.

Two things differ from the paper. Patch positions follow from a tile's id, so the order of tiles
does not matter and a restored tile is looked at where its original was. And patches are not
normalised by the deviation of their own set: that would hide lost contrast, which is just what
blurred restorations lack. Distances are therefore in 8-bit levels.

descriptors (per level) -> projections (sorted) -> distance
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.ndimage import convolve1d

from superres.core.seeding import derive_seed, rng
from superres.metrics.config import SwdParams

PATCH = 7
"""Edge of a patch in pixels."""
SMALLEST_LEVEL = 16
"""No pyramid level is smaller, in pixels."""
BINOMIAL = np.array([1, 4, 6, 4, 1], dtype=np.float32) / 16

QUICK = SwdParams(patches_per_tile=64, max_patches=16384, projections=256, seed=0)
"""For comparisons within one stage; they must not move when `evaluate` measures otherwise."""

_PROJECTIONS_AT_ONCE = 64  # memory: this many floats per patch


def level_sizes(size: int) -> list[int]:
    """Return the edges in pixels of a pyramid's levels: `size`, halved while at least 16 is left.

    Raises:
        ValueError: `size` itself is smaller than 16.
    """
    if size < SMALLEST_LEVEL:
        raise ValueError(f"a pyramid needs tiles of at least {SMALLEST_LEVEL} px, got {size}")
    sizes = [size]
    while (sizes[-1] + 1) // 2 >= SMALLEST_LEVEL:
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


def laplacian_pyramid(tile: np.ndarray) -> list[np.ndarray]:
    """Return the Laplacian pyramid of a tile, finest level first (Burt and Adelson 1983).

    Args:
        tile: H x W x C, any real type.

    Returns:
        float32 arrays, each half as large; every level but the last is the difference between a
        Gaussian level and the next one enlarged, the last is the smallest Gaussian level.
    """
    levels = []
    current = np.asarray(tile, dtype=np.float32)
    for _ in level_sizes(min(tile.shape[:2]))[1:]:
        smaller = _blur(current)[::2, ::2]
        spread = np.zeros_like(current)
        spread[::2, ::2] = smaller
        # Three of four pixels are empty: doubling the filter along both axes keeps the brightness.
        levels.append(current - 4 * _blur(spread))
        current = smaller
    return [*levels, current]


def _blur(image: np.ndarray) -> np.ndarray:
    rows = convolve1d(image, BINOMIAL, axis=0, mode="mirror")
    return np.asarray(convolve1d(rows, BINOMIAL, axis=1, mode="mirror"))


def patches_per_tile(tiles: int, params: SwdParams) -> int:
    """Return how many patches of each level are taken of a tile in a set of `tiles`."""
    return max(1, min(params.patches_per_tile, params.max_patches // tiles))


def tiles_used(ids: Sequence[str], params: SwdParams) -> list[str]:
    """Return the ids, sorted, that are described: all, or `max_patches` of them drawn by id.

    Raises:
        ValueError: no id, or one that is duplicated.
    """
    if not ids:
        raise ValueError("a set without tiles has no distribution")
    if len(set(ids)) != len(ids):
        raise ValueError("ids must be unique: patch positions follow from them")
    if len(ids) <= params.max_patches:
        return sorted(ids)
    drawn = sorted(ids, key=lambda name: (derive_seed(params.seed, "swd-tile", name), name))
    return sorted(drawn[: params.max_patches])


def descriptors(
    tiles: Iterable[np.ndarray], ids: Sequence[str], params: SwdParams
) -> list[np.ndarray]:
    """Return patches of every pyramid level of a set of tiles.

    Args:
        tiles: uint8, H x W x C each, all of one size, one per id; read once, one at a time.
        ids: name of each tile; a restored tile has the id of its original.
        params: `max_patches` bounds the memory, and `seed` draws the positions.

    Returns:
        One float32 array per level, finest first: P x (7 * 7 * C), the rows ordered by id.
    """
    patches = Patches(ids, params)
    for tile, name in zip(tiles, ids, strict=True):
        patches.add(tile, name)
    return patches.levels


class Patches:
    """Patches of every pyramid level of a set of tiles that pass one by one, in any order.

    Args:
        ids: of all tiles that will pass, each once.
        params: see `descriptors`.

    Attributes:
        levels: one float32 array per level, finest first: P x (7 * 7 * C), the rows ordered by id;
            complete once every tile has passed.

    Raises:
        ValueError: no id, or one that is duplicated.
    """

    def __init__(self, ids: Sequence[str], params: SwdParams) -> None:
        self._rows = {name: row for row, name in enumerate(tiles_used(ids, params))}
        self._count = patches_per_tile(len(self._rows), params)
        self._seed = params.seed
        self.levels: list[np.ndarray] = []

    def add(self, tile: np.ndarray, name: str) -> None:
        """Take the patches of a tile (uint8, H x W x C, of one size), if its id was drawn."""
        self.put(name, self.of(tile, name))

    def of(self, tile: np.ndarray, name: str) -> list[np.ndarray]:
        """Return a tile's patches of each level, for `put`; none if its id was not drawn."""
        if name not in self._rows:
            return []
        return [
            _patches(level, self._count, self._seed, name, number)
            for number, level in enumerate(laplacian_pyramid(tile))
        ]

    def put(self, name: str, levels: Sequence[np.ndarray]) -> None:
        """Take in what `of` gave, here or in another process."""
        if not levels:
            return
        if not self.levels:
            rows = len(self._rows) * self._count
            self.levels = [np.empty((rows, level.shape[1]), np.float32) for level in levels]
        first = self._rows[name] * self._count
        for level, out in zip(levels, self.levels, strict=True):
            out[first : first + self._count] = level


def _patches(level: np.ndarray, count: int, seed: int, name: str, number: int) -> np.ndarray:
    generator = rng(seed, "swd-patch", name, number)
    tops = generator.integers(0, level.shape[0] - PATCH + 1, size=count)
    lefts = generator.integers(0, level.shape[1] - PATCH + 1, size=count)
    windows = np.lib.stride_tricks.sliding_window_view(level, (PATCH, PATCH), axis=(0, 1))
    return windows[tops, lefts].reshape(count, -1)


def directions(level: int, width: int, params: SwdParams) -> np.ndarray:
    """Return random unit vectors, float32, `projections` x `width`, the same for every set."""
    drawn = rng(params.seed, "swd-direction", level).standard_normal((params.projections, width))
    unit: np.ndarray = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit.astype(np.float32)


def project(patches: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Return patches (P x D) projected on directions (K x D), each sorted: float32, K x P."""
    return np.sort(along @ patches.T, axis=1)


def sliced_distance(reference: np.ndarray, restored: np.ndarray, along: np.ndarray) -> float:
    """Return the sliced Wasserstein-1 distance of two equally large sets of patches.

    Args:
        reference: P x D.
        restored: P x D.
        along: unit vectors, K x D.

    Returns:
        The mean over directions of the distance between the projected distributions, which for
        equally many points is the mean absolute difference of the sorted values. 8-bit levels.

    Raises:
        ValueError: the sets differ in size.
    """
    if reference.shape != restored.shape:
        raise ValueError(f"sets differ in size: {reference.shape} and {restored.shape}")
    total = 0.0
    for start in range(0, len(along), _PROJECTIONS_AT_ONCE):
        some = along[start : start + _PROJECTIONS_AT_ONCE]
        difference = np.abs(project(reference, some) - project(restored, some))
        total += float(difference.mean(dtype=np.float64)) * len(some)
    return total / len(along)


def sliced_distances(
    reference: Sequence[np.ndarray], restored: Sequence[np.ndarray], params: SwdParams
) -> list[float]:
    """Return the sliced Wasserstein distance of each level, finest first, in 8-bit levels.

    Args:
        reference: the originals' `descriptors`.
        restored: those of as many restored tiles, with the same ids and params.
        params: projections and seed.
    """
    return [
        sliced_distance(one, other, directions(level, one.shape[1], params))
        for level, (one, other) in enumerate(zip(reference, restored, strict=True))
    ]
