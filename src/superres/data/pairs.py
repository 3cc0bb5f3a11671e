"""The `degrade` stage: every tile gets its low-resolution inputs, their strengths recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from superres.data.chain import Degradation
from superres.data.degradation import degrade, draw_strengths
from superres.data.manifests import DEGRADATION, PAIR_COLUMNS, TILE_COLUMNS, entropy_columns
from superres.errors import SuperresError
from superres.parallel import in_order
from superres.params.degrade import DegradeParams
from superres.progress import progress_bar
from superres.seeding import rng
from superres.storage import (
    MANIFEST,
    Shards,
    ShardWriter,
    read_manifest,
    replacing_folder,
    write_csv,
    write_json,
)

MAX_BATCH_BYTES = 2**24
MAX_BATCH_TILES = 64


class _Tile(NamedTuple):
    """The part of a tile's manifest row that its inputs follow from."""

    id: str
    shard: str
    position: int
    variants: int


class _Input(NamedTuple):
    low: np.ndarray
    """uint8, H/scale x W/scale x 3."""
    applied: tuple[float, ...]
    """Strengths in the corruptions' order."""


def degrade_tiles(
    params: DegradeParams, tiles_folder: str | Path, pairs_folder: str | Path
) -> dict[str, Any]:
    """Write the low-resolution inputs of every tile.

    Training tiles get `params.variants` inputs each, val and test tiles one. Strengths are drawn
    from (seed, tile's id, variant), so neither order nor the number of workers matters.

    `pairs_folder` gets `{split}-00000.npy` (uint8), `manifest.csv` (`PAIR_COLUMNS` and the
    strengths applied) and `degradation.json`. It is replaced only when all is done.

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
    degrade = partial(_degrade_batch, params=params, tiles_folder=Path(tiles_folder))
    batches = in_order(degrade, _batches(tiles, params.variants, size), prefer="processes")
    degradation = Degradation.of(params)
    with replacing_folder(pairs_folder) as new:
        manifest = _write_pairs(tiles, batches, new, entropy_columns(degradation.names))
        write_csv(new / MANIFEST, manifest)
        write_json(new / DEGRADATION, degradation.to_json())
    counts = manifest["split"].value_counts()
    print(f"pairs: {', '.join(f'{count} {split}' for split, count in counts.items())}")
    return {
        "pairs": len(manifest),
        "megapixels": round(len(manifest) * height * width / 1e6, 3),
    }


def strengths_of(degradation: Degradation, tile_id: str, variant: int) -> dict[str, float]:
    """Return the strength of each corruption, by name, for one input of one tile."""
    return draw_strengths(degradation, rng(degradation.seed, "degrade", tile_id, variant))


def pair_id(tile_id: str, variant: int) -> str:
    """Return what one input of one tile is called."""
    return f"{tile_id}-{variant}"


def _batches(tiles: pd.DataFrame, variants: int, size: int) -> Iterator[list[_Tile]]:
    for begin in range(0, len(tiles), size):
        rows = tiles.iloc[begin : begin + size]
        yield [
            _Tile(name, shard, int(index), variants if split == "train" else 1)
            for name, shard, index, split in zip(
                rows["id"], rows["shard"], rows["index"], rows["split"], strict=True
            )
        ]


def _degrade_batch(
    tiles: list[_Tile], params: DegradeParams, tiles_folder: Path
) -> list[list[_Input]]:
    """Return the inputs of each tile; a worker reads the tiles itself."""
    degradation = Degradation.of(params)
    shards = Shards(tiles_folder)
    results = []
    for tile in tiles:
        high = shards[tile.shard, tile.position]
        inputs = []
        for variant in range(tile.variants):
            strengths = strengths_of(degradation, tile.id, variant)
            low, applied = degrade(degradation, high, strengths, pair_id(tile.id, variant))
            inputs.append(_Input(low, tuple(applied.values())))
        results.append(inputs)
    return results


def _write_pairs(
    tiles: pd.DataFrame,
    batches: Iterator[list[list[_Input]]],
    folder: Path,
    entropies: list[str],
) -> pd.DataFrame:
    """Write the shards and return the manifest: a row per input, in the tiles' order."""
    renamed = tiles.rename(columns={"id": "tile_id", "shard": "tile_shard", "index": "tile_index"})
    inputs = (inputs for batch in batches for inputs in batch)
    rows: list[dict[Any, Any]] = []
    with ExitStack() as stack, progress_bar(len(tiles), "degrade", "tile") as bar:
        writers = {
            split: stack.enter_context(ShardWriter(folder, split))
            for split in tiles["split"].unique()
        }
        for tile, variants in zip(renamed.to_dict("records"), inputs, strict=True):
            for variant, (low, applied) in enumerate(variants):
                shard, index = writers[tile["split"]].append(low)
                strengths = dict(zip(entropies, applied, strict=True))
                row: dict[Any, Any] = {**tile, **strengths, "shard": shard, "index": index}
                rows.append({**row, "id": pair_id(tile["tile_id"], variant), "variant": variant})
            bar.update()
    return pd.DataFrame(rows, columns=[*PAIR_COLUMNS, *entropies])
