"""The `degrade` stage: every tile gets its low-resolution inputs, their entropies recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import pairwise, starmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from superres.core.errors import SuperresError
from superres.core.manifests import DEGRADATION, PAIR_COLUMNS, TILE_COLUMNS, entropy_columns
from superres.core.parallel import in_order
from superres.core.progress import progress_bar
from superres.core.seeding import rng, rngs
from superres.core.storage import (
    MANIFEST,
    Shards,
    ShardWriter,
    read_manifest,
    replacing_folder,
    write_csv,
    write_json,
)
from superres.degradation.chain import Degradation
from superres.degradation.config import DegradeParams
from superres.degradation.degrade import corrupt, downsample, draw_entropies

MAX_BATCH_BYTES = 2**24
MAX_BATCH_TILES = 256
MAX_BLOCK_BYTES = 2**18
"""Of the tiles that are worked on together: what is made of them on the way stays in a core's own
cache, and in memory that the process has already."""


class _Tiles(NamedTuple):
    """The part of some rows of the tiles' manifest that their inputs follow from."""

    ids: list[str]
    shards: list[str]
    positions: list[int]
    variants: list[int]
    """How many inputs each tile gets."""


class _Inputs(NamedTuple):
    """All inputs of some tiles, in the tiles' order: two arrays, not a pair for each of them."""

    lows: np.ndarray
    """uint8, N x H/scale x W/scale x 3."""
    applied: np.ndarray
    """float64, N x corruptions: the entropies."""


def degrade_tiles(
    params: DegradeParams, tiles_folder: str | Path, pairs_folder: str | Path
) -> dict[str, Any]:
    """Write the low-resolution inputs of every tile.

    Training tiles get `params.variants` inputs each, val and test tiles one. Entropies are drawn
    from (seed, tile's id, variant), so neither order nor the number of workers matters.

    `pairs_folder` gets `{split}-00000.npy` (uint8), `manifest.csv` (`PAIR_COLUMNS` and the
    entropies applied) and `degradation.json`. It is replaced only when all is done.

    Returns:
        `pairs` and `megapixels` (a tile counts once per input), for the notes on timing.

    Raises:
        SuperresError: no tiles, or a tile size that `params.scale` does not divide.
    """
    tiles = read_manifest(tiles_folder, TILE_COLUMNS)
    height, width, _ = Shards(tiles_folder)[tiles["shard"].iloc[0], 0].shape
    if height % params.scale or width % params.scale:
        raise SuperresError(
            f"data.tile_size {height} is not a multiple of degrade.scale {params.scale} "
            f"(tiles of {tiles_folder})"
        )
    size = max(1, min(MAX_BATCH_TILES, MAX_BATCH_BYTES // (height * width * 3)))
    variants = np.where(tiles["split"] == "train", params.variants, 1)
    degradation = Degradation.of(params)
    degrade = partial(_degrade_batch, degradation=degradation, tiles_folder=Path(tiles_folder))
    batches = in_order(degrade, _batches(tiles, variants, size), prefer="processes")
    with replacing_folder(pairs_folder) as new:
        splits = tiles["split"].to_numpy(object).repeat(variants)
        inputs = _write_inputs(splits, batches, new)
        manifest = _manifest(tiles, variants, inputs, entropy_columns(degradation.names))
        write_csv(new / MANIFEST, manifest)
        write_json(new / DEGRADATION, degradation.to_json())
    counts = manifest["split"].value_counts()
    print(f"pairs: {', '.join(f'{count} {split}' for split, count in counts.items())}")
    return {
        "pairs": len(manifest),
        "megapixels": round(len(manifest) * height * width / 1e6, 3),
    }


def entropies_of(degradation: Degradation, tile_id: str, variant: int) -> dict[str, float]:
    """Return the entropy of each corruption, by name, for one input of one tile."""
    return draw_entropies(degradation, rng(degradation.seed, "degrade", tile_id, variant))


def pair_id(tile_id: str, variant: int) -> str:
    """Return what one input of one tile is called."""
    return f"{tile_id}-{variant}"


def _batches(tiles: pd.DataFrame, variants: np.ndarray, size: int) -> Iterator[_Tiles]:
    for begin in range(0, len(tiles), size):
        rows = tiles.iloc[begin : begin + size]
        places = (rows["shard"].tolist(), rows["index"].tolist())
        yield _Tiles(rows["id"].tolist(), *places, variants[begin : begin + size].tolist())


def _degrade_batch(tiles: _Tiles, degradation: Degradation, tiles_folder: Path) -> _Inputs:
    """Return the inputs of some tiles; a worker reads the tiles itself."""
    shards = Shards(tiles_folder)
    bytes_per_tile = shards[tiles.shards[0], tiles.positions[0]].nbytes * max(tiles.variants)
    size = max(1, MAX_BLOCK_BYTES // bytes_per_tile)
    inputs = [
        (name, variant)
        for name, variants in zip(tiles.ids, tiles.variants, strict=True)
        for variant in range(variants)
    ]
    streams = rngs(degradation.seed, "degrade", inputs)
    entropies = [draw_entropies(degradation, stream) for stream in streams]
    names = list(starmap(pair_id, inputs))

    def blocks() -> Iterator[np.ndarray]:
        for begin in range(0, len(tiles.ids), size):
            these = slice(begin, begin + size)
            highs = shards.together(tiles.shards[these], tiles.positions[these])
            yield downsample(degradation, highs).repeat(tiles.variants[these], axis=0)

    return _Inputs(*corrupt(degradation, blocks(), entropies, names))


def _write_inputs(splits: np.ndarray, batches: Iterator[_Inputs], folder: Path) -> pd.DataFrame:
    """Write the shards and return where each input is and, by its number, each entropy of it."""
    shards: list[str] = []
    indices: list[int] = []
    entropies = []
    with ExitStack() as stack, progress_bar(len(splits), "degrade", "input") as bar:
        writers = {
            split: stack.enter_context(ShardWriter(folder, split)) for split in np.unique(splits)
        }
        for lows, applied in batches:
            these = splits[len(shards) : len(shards) + len(lows)]
            changes = np.flatnonzero(these[1:] != these[:-1]) + 1
            for begin, end in pairwise([0, *changes.tolist(), len(lows)]):
                names, places = writers[these[begin]].extend(lows[begin:end])
                shards += names
                indices += places
            entropies.append(applied)
            bar.update(len(lows))
    return pd.DataFrame(np.concatenate(entropies)).assign(shard=shards, index=indices)


def _manifest(
    tiles: pd.DataFrame, variants: np.ndarray, inputs: pd.DataFrame, entropies: list[str]
) -> pd.DataFrame:
    """Return a row per input, in the tiles' order."""
    renamed = tiles.rename(columns={"id": "tile_id", "shard": "tile_shard", "index": "tile_index"})
    rows = renamed.loc[renamed.index.repeat(variants)].reset_index(drop=True)
    rows["variant"] = np.concatenate([np.arange(count) for count in variants])
    rows["id"] = list(map(pair_id, rows["tile_id"], rows["variant"]))
    named = inputs.rename(columns=dict(enumerate(entropies)))
    return pd.concat([rows, named], axis=1)[[*PAIR_COLUMNS, *entropies]]
