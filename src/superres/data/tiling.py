"""The `tile` stage: photographs become shards of tiles, split by photograph."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from superres.core.errors import SuperresError
from superres.core.manifests import TILE_COLUMNS
from superres.core.storage import MANIFEST, replacing_folder, write_csv
from superres.data.ahead import Ahead
from superres.data.config import DataParams
from superres.data.sources import find_sources
from superres.data.splitting import SPLITS
from superres.data.survey import Photograph, photograph_table, settle
from superres.data.tile_grid import Tile

FEWEST_VAL_TILES = 2
"""Known here, so that `select` does not find it out after the training."""


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
        SuperresError: no source; see `superres.data.survey.settle`; no sharp training tile, fewer
            than two val tiles.
    """
    sources = find_sources(params.source, params.pattern)
    with replacing_folder(tiles_folder) as new:
        ahead = Ahead(params, new)
        photographs = ahead.read(sources)
        settle(photographs, params)
        used = [photograph for photograph in photographs if not photograph.reason]
        write_csv(new / MANIFEST, _manifest(used, ahead, params))
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


def _manifest(used: list[Photograph], ahead: Ahead, params: DataParams) -> pd.DataFrame:
    """Have the shards written, note each photograph's counts, and return the manifest."""
    columns: dict[str, list[Any]] = {name: [] for name in TILE_COLUMNS}
    ids = short_ids([photograph.content for photograph in used])
    written = ahead.finish(used)
    for photograph, short, grid in zip(used, ids, written, strict=True):
        tiles = len(grid.x)
        photograph.tiles, photograph.dropped, photograph.thinned = tiles, grid.dropped, grid.thinned
        if not tiles:
            photograph.reason = f"all {grid.dropped} tiles below the sharpness threshold"
        places = zip(grid.copy.tolist(), grid.x.tolist(), grid.y.tolist(), strict=True)
        columns["id"] += [f"{short}{grid.prefixes[copy]}-{x:05d}-{y:05d}" for copy, x, y in places]
        columns["split"] += [photograph.split] * tiles
        columns["shard"] += grid.shards
        columns["index"] += grid.indices
        columns["source"] += [photograph.source.name] * tiles
        for name in Tile._fields:
            columns[name] += getattr(grid, name).tolist()
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
