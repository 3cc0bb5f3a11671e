"""Tiles cut while the photographs are still being read, so that each file is decoded once.

Which photographs are used, and for what, is known only when all have been looked at: some have the
same pixels, or look like another that is in another split. But nearly all of them end in the split
that their own content says, so their tiles are written at once as if they did. A split in which
that was true of every photograph is finished; of another one, the tiles are copied in the final
order, and the photographs that came to it from elsewhere are decoded again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from superres.core.errors import SuperresError
from superres.core.parallel import in_order
from superres.core.progress import progress_bar
from superres.core.storage import Shards, ShardWriter
from superres.data.config import DataParams
from superres.data.sources import Source
from superres.data.splitting import SPLITS, likely_split
from superres.data.survey import Photograph, look_at
from superres.data.tile_grid import Tile, cut

TILES_AT_ONCE = 64
"""That are copied out of a photograph and written."""


class Grid(NamedTuple):
    """The tiles of a photograph that are kept: arrays of one value for each, and where they are."""

    copy: np.ndarray
    """Which of the copies it is cut from: the photograph or one of its reductions."""
    x: np.ndarray
    y: np.ndarray
    sharpness: np.ndarray
    prefixes: list[str]
    """Of the ids of each copy's tiles, after the photograph's."""
    dropped: int
    """Tiles below `min_sharpness`."""
    thinned: int
    """Sharp tiles beyond `max_tiles`."""
    shards: list[str]
    indices: list[int]
    """Empty until they are written."""


class _Cut(NamedTuple):
    copies: list[np.ndarray]
    """The photograph and its reductions, uint8, H x W x 3: overlapping tiles would take several
    times as much."""
    grid: Grid


class Ahead:
    """Tiles on their way into a folder."""

    def __init__(self, params: DataParams, folder: Path) -> None:
        self._params = params
        self._folder = folder
        self._ahead = folder / "ahead"
        self._written: dict[str, dict[str, Grid]] = {split: {} for split in SPLITS}
        """By split and content, in the order they were written in."""

    def read(self, sources: list[Source]) -> list[Photograph]:
        """Look at every file, write the tiles of each photograph, and return what the files are."""
        self._ahead.mkdir()
        photographs = []
        look = partial(_look_and_cut, params=self._params)
        with ExitStack() as stack, progress_bar(len(sources), "tile", "file") as bar:
            writers = {
                split: stack.enter_context(ShardWriter(self._ahead, split)) for split in SPLITS
            }
            for photograph, split, done in in_order(look, sources, prefer="threads"):
                photographs.append(photograph)
                if done is not None and photograph.content not in self._written[split]:
                    grid = _write(writers[split], done, self._params.tile_size)
                    self._written[split][photograph.content] = grid
                bar.update()
        return photographs

    def finish(self, used: list[Photograph]) -> list[Grid]:
        """Bring the shards to their final form, and return the grid of each photograph.

        Args:
            used: those that are used, in order, with their splits.

        Raises:
            SuperresError: a photograph has changed since it was read.
        """
        grids: dict[str, Grid] = {}
        for split in SPLITS:
            wanted = [photograph for photograph in used if photograph.split == split]
            there = self._written[split]
            if [photograph.content for photograph in wanted] == list(there):
                for shard in self._ahead.glob(f"{split}-*.npy"):
                    shard.rename(self._folder / shard.name)
                grids |= there
            else:
                grids |= self._in_order(split, wanted)
        shutil.rmtree(self._ahead)
        return [grids[photograph.content] for photograph in used]

    def _in_order(self, split: str, wanted: list[Photograph]) -> dict[str, Grid]:
        """Write a split anew from what is there and photographs that are decoded once more."""
        there, shards = self._written[split], Shards(self._ahead)
        lacking = [photograph for photograph in wanted if photograph.content not in there]
        cuts = in_order(partial(_cut_again, params=self._params), lacking, prefer="threads")
        grids = {}
        with (
            ShardWriter(self._folder, split) as writer,
            progress_bar(len(wanted), f"order {split}", "photograph") as bar,
        ):
            for content in (photograph.content for photograph in wanted):
                if content in there:
                    grid = there[content]
                    tiles = _parts(grid, shards)
                    grids[content] = _placed(grid, writer, tiles)
                else:
                    grids[content] = _write(writer, next(cuts), self._params.tile_size)
                bar.update()
        return grids


def reduced(image: np.ndarray, factor: float) -> np.ndarray:
    """Return a photograph whose edges are `factor` times as long, by Lanczos' filter.

    Args:
        image: uint8, H x W x 3.
        factor: in (0, 1]; at 1 the photograph itself is returned.
    """
    if factor == 1:
        return image
    height, width = (max(1, round(edge * factor)) for edge in image.shape[:2])
    picture = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def _look_and_cut(source: Source, params: DataParams) -> tuple[Photograph, str, _Cut | None]:
    """Return what a file is, the split it likely belongs to, and the tiles it would have there."""
    photograph, pixels = look_at(source, params)
    if pixels is None or min(pixels.shape[:2]) < params.tile_size:
        return photograph, "", None
    split = likely_split(source.name, photograph.content, params.split)
    return photograph, split, _cut(pixels, split, params) if split else None


def _cut_again(photograph: Photograph, params: DataParams) -> _Cut:
    again, pixels = look_at(photograph.source, params)
    if pixels is None or again.content != photograph.content:
        raise SuperresError(
            f"data.source: {photograph.source.name}: has changed while photographs were being read"
        )
    return _cut(pixels, photograph.split, params)


def _cut(image: np.ndarray, split: str, params: DataParams) -> _Cut:
    size = params.tile_size
    if split != "train":
        tiles = [(0, tile) for tile in cut(image, size, stride=size, flush=False)]
        return _Cut([image], _grid(tiles, [""], 0, 0))
    factors = [factor for factor in params.reductions if min(image.shape[:2]) * factor >= size]
    copies = [reduced(image, factor) for factor in factors]
    tiles = [
        (place, tile)
        for place, copy in enumerate(copies)
        for tile in cut(copy, size, params.stride, flush=True)
    ]
    sharp = [each for each in tiles if each[1].sharpness >= params.min_sharpness]
    # Evenly over the photograph, not the sharpest: those would all be of one texture.
    kept = np.linspace(0, len(sharp) - 1, min(len(sharp), params.max_tiles)).round().astype(int)
    prefixes = ["" if factor == 1 else f"x{factor:g}" for factor in factors]
    those = [sharp[place] for place in kept]
    return _Cut(copies, _grid(those, prefixes, len(tiles) - len(sharp), len(sharp) - len(kept)))


def _grid(tiles: list[tuple[int, Tile]], prefixes: list[str], dropped: int, thinned: int) -> Grid:
    values = np.array([tile for _, tile in tiles], np.float64).reshape(-1, len(Tile._fields))
    x, y = values[:, :2].T.astype(np.int32)
    copy = np.array([copy for copy, _ in tiles], np.int8)
    return Grid(copy, x, y, values[:, 2].copy(), prefixes, dropped, thinned, [], [])


def _write(writer: ShardWriter, done: _Cut, size: int) -> Grid:
    """Write the tiles of a photograph and return its grid with their places."""
    grid = done.grid
    places = list(zip(grid.copy.tolist(), grid.x.tolist(), grid.y.tolist(), strict=True))

    def parts() -> Iterator[np.ndarray]:
        for begin in range(0, len(places), TILES_AT_ONCE):
            some = places[begin : begin + TILES_AT_ONCE]
            yield np.stack([done.copies[copy][y : y + size, x : x + size] for copy, x, y in some])

    return _placed(grid, writer, parts())


def _parts(grid: Grid, shards: Shards) -> Iterator[np.ndarray]:
    """Yield the tiles of a photograph that are in shards already."""
    for begin in range(0, len(grid.shards), TILES_AT_ONCE):
        some = slice(begin, begin + TILES_AT_ONCE)
        yield shards.together(grid.shards[some], grid.indices[some])


def _placed(grid: Grid, writer: ShardWriter, parts: Iterator[np.ndarray]) -> Grid:
    shards: list[str] = []
    indices: list[int] = []
    for part in parts:
        names, places = writer.extend(part)
        shards += names
        indices += places
    return grid._replace(shards=shards, indices=indices)
