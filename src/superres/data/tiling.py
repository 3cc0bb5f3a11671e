"""The `tile` stage: photographs become shards of tiles, split by photograph."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from superres.core.errors import SuperresError
from superres.core.images import read_image
from superres.core.manifests import TILE_COLUMNS
from superres.core.parallel import in_order
from superres.core.progress import progress_bar
from superres.core.storage import MANIFEST, ShardWriter, replacing_folder, write_csv
from superres.data.config import DataParams
from superres.data.splitting import SPLITS
from superres.data.survey import Photograph, photograph_table, survey
from superres.data.tile_grid import Tile, cut

TILES_AT_ONCE = 64
"""That are copied out of a photograph and written."""

FEWEST_VAL_TILES = 2
"""Known here, so that `select` does not find it out after the training."""


class _Cut(NamedTuple):
    copies: list[np.ndarray]
    """The photograph and its reductions, uint8, H x W x 3: overlapping tiles would take several
    times as much."""
    prefixes: list[str]
    """Of the ids of each copy's tiles, after the photograph's."""
    tiles: list[tuple[int, Tile]]
    """With the place of the copy they are cut from."""
    dropped: int = 0
    thinned: int = 0


def tile_photographs(
    params: DataParams, tiles_folder: str | Path, photographs_csv: str | Path
) -> dict[str, Any]:
    """Cut every usable photograph under `params.source` into tiles.

    Training photographs get a grid at `params.stride` whose last row and column end with the
    picture, so that with `stride <= tile_size` every pixel is in a tile, and so do their
    `params.reductions`; tiles below `params.min_sharpness` are dropped. Val and test photographs
    get tiles that never overlap, all of them kept; less than a tile is left over at their right and
    lower edges.

    `tiles_folder` gets `{split}-00000.npy` and `manifest.csv` (`TILE_COLUMNS`), `photographs_csv`
    a row per file found (`PHOTOGRAPH_COLUMNS`). Neither is touched unless all goes well, and the
    number of workers changes no byte of them.

    Returns:
        `photographs`, `megapixels` and `tiles` done, for the notes on timing.

    Raises:
        SuperresError: see `superres.data.survey.survey`; no sharp training tile, fewer than two
            val tiles.
    """
    photographs = survey(params)
    used = [photograph for photograph in photographs if not photograph.reason]
    with replacing_folder(tiles_folder) as new:
        write_csv(new / MANIFEST, _write_tiles(used, params, new))
        write_csv(photographs_csv, photograph_table(photographs))
    tiles = Counter[str]()
    for photograph in used:
        tiles[photograph.split] += photograph.tiles
    _summarise(photographs, tiles, params)
    megapixels = sum(photograph.width * photograph.height for photograph in used) / 1e6
    return {
        "photographs": sum(not photograph.reason for photograph in photographs),
        "megapixels": round(megapixels, 3),
        "tiles": tiles.total(),
    }


def short_ids(contents: list[str]) -> list[str]:
    """Return the first 8 hex digits of each hash, or as many as tell different hashes apart."""
    length = 8
    while len({content[:length] for content in contents}) < len(set(contents)):
        length += 4
    return [content[:length] for content in contents]


def _write_tiles(used: list[Photograph], params: DataParams, folder: Path) -> pd.DataFrame:
    """Write the shards, note each photograph's counts, and return the manifest."""
    columns: dict[str, list[Any]] = {name: [] for name in TILE_COLUMNS}
    ids = short_ids([photograph.content for photograph in used])
    cuts = in_order(partial(_cut, params=params), used, prefer="threads")
    size = params.tile_size
    with ExitStack() as stack, progress_bar(len(used), "tile", "photograph") as bar:
        writers = {split: stack.enter_context(ShardWriter(folder, split)) for split in SPLITS}
        for photograph, short, done in zip(used, ids, cuts, strict=True):
            photograph.tiles = len(done.tiles)
            photograph.dropped, photograph.thinned = done.dropped, done.thinned
            if not done.tiles:
                photograph.reason = f"all {done.dropped} tiles below the sharpness threshold"
            name, split = photograph.source.name, photograph.split
            for begin in range(0, len(done.tiles), TILES_AT_ONCE):
                copies, tiles = zip(*done.tiles[begin : begin + TILES_AT_ONCE], strict=True)
                pixels = [
                    done.copies[copy][y : y + size, x : x + size]
                    for copy, (x, y, _) in zip(copies, tiles, strict=True)
                ]
                shards, indices = writers[split].extend(np.stack(pixels))
                columns["id"] += [
                    f"{short}{done.prefixes[copy]}-{x:05d}-{y:05d}"
                    for copy, (x, y, _) in zip(copies, tiles, strict=True)
                ]
                columns["split"] += [split] * len(tiles)
                columns["shard"] += shards
                columns["index"] += indices
                columns["source"] += [name] * len(tiles)
                for column, values in zip(Tile._fields, zip(*tiles, strict=True), strict=True):
                    columns[column] += values
            bar.update()
    if all(photograph.reason for photograph in used if photograph.split == "train"):
        raise SuperresError(
            f"data.source: {params.source}: every training tile is below data.min_sharpness "
            f"{params.min_sharpness}"
        )
    val = columns["split"].count("val")
    if val < FEWEST_VAL_TILES:
        raise SuperresError(
            f"data.split.val: {params.split.val} of the photographs give {val} val tiles, and "
            f"choosing a checkpoint needs {FEWEST_VAL_TILES}; raise it or bring more photographs"
        )
    return pd.DataFrame(columns)


def _cut(photograph: Photograph, params: DataParams) -> _Cut:
    image = read_image(photograph.source.path, photograph.source.content(), params.max_megapixels)
    size = params.tile_size
    if photograph.split != "train":
        tiles = [(0, tile) for tile in cut(image, size, stride=size, flush=False)]
        return _Cut([image], [""], tiles)
    factors = [factor for factor in params.reductions if min(image.shape[:2]) * factor >= size]
    copies = [reduced(image, factor) for factor in factors]
    tiles = [
        (place, tile)
        for place, copy in enumerate(copies)
        for tile in cut(copy, size, params.stride, flush=True)
    ]
    sharp = [(place, tile) for place, tile in tiles if tile.sharpness >= params.min_sharpness]
    # Evenly over the photograph, not the sharpest: those would all be of one texture.
    kept = np.linspace(0, len(sharp) - 1, min(len(sharp), params.max_tiles)).round().astype(int)
    return _Cut(
        copies,
        ["" if factor == 1 else f"x{factor:g}" for factor in factors],
        [sharp[place] for place in kept],
        dropped=len(tiles) - len(sharp),
        thinned=len(sharp) - len(kept),
    )


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


def _summarise(photographs: list[Photograph], tiles: Counter[str], params: DataParams) -> None:
    left_out = sum(bool(photograph.reason) for photograph in photographs)
    dropped = sum(photograph.dropped for photograph in photographs)
    thinned = sum(photograph.thinned for photograph in photographs)
    print(
        f"{len(photographs) - left_out} photographs used, {left_out} left out; "
        f"tiles: {', '.join(f'{tiles[split]} {split}' for split in SPLITS)}; "
        f"{dropped} training tiles dropped (sharpness below {params.min_sharpness:g}), "
        f"{thinned} more where a photograph has over {params.max_tiles}"
    )
