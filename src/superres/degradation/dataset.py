"""Reading pairs: the low-resolution inputs of one split, their tiles and their entropies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from superres.core.errors import SuperresError
from superres.core.manifests import DEGRADATION, PAIR_COLUMNS, TILE_COLUMNS, entropy_columns
from superres.core.storage import MANIFEST, Shards, read_manifest, rows_of_split
from superres.degradation.chain import Degradation

Indices = Sequence[int] | np.ndarray


class PairSet:
    """The pairs of one split, in the manifest's order; pixels are read when they are asked for.

    Attributes:
        rows: the split's rows of the pairs' manifest, numbered from 0.
        degradation: what made the inputs.
        scale: edge of a tile over edge of its input.
        entropy_names: the corruptions' names; the order of the columns of `entropies`.

    Raises:
        SuperresError: a folder or a file that is not there, a split without pairs, entropies
            other than those of `degradation.json`, or pairs made of other tiles than these.
    """

    def __init__(self, tiles_folder: str | Path, pairs_folder: str | Path, split: str) -> None:
        self.degradation = read_degradation(pairs_folder)
        self.scale = self.degradation.scale
        self.entropy_names = self.degradation.names
        columns = entropy_columns(self.entropy_names)
        manifest = read_manifest(pairs_folder, (*PAIR_COLUMNS, *columns))
        recorded = [name for name in manifest.columns if name.startswith("entropy_")]
        if recorded != columns:
            raise SuperresError(
                f"{pairs_folder}: {MANIFEST} has the columns {', '.join(recorded)}, "
                f"{DEGRADATION} means {', '.join(columns)}"
            )
        self.rows = rows_of_split(manifest, split, pairs_folder)
        _check_tiles(self.rows, read_manifest(tiles_folder, TILE_COLUMNS), tiles_folder)
        self._tiles = Shards(tiles_folder)
        self._pairs = Shards(pairs_folder)
        self._entropies = self.rows[columns].to_numpy(np.float32)
        # A row of a table takes longer to find than its tile to read.
        self._places = {
            name: self.rows[name].to_numpy()
            for name in ("tile_shard", "tile_index", "shard", "index")
        }
        _check_shards(self._tiles, self.rows, "tile_shard", "tile_index", tiles_folder)
        _check_shards(self._pairs, self.rows, "shard", "index", pairs_folder)

    def __len__(self) -> int:
        return len(self.rows)

    def spread(self, count: int) -> np.ndarray:
        """Return the positions in `rows` of at most `count` pairs, spread evenly."""
        count = min(count, len(self))
        return np.linspace(0, len(self) - 1, count).round().astype(int)

    def ids(self, indices: Indices | None = None) -> list[str]:
        """Return the names of pairs by position in `rows`, of all where none are given."""
        names = self.rows["id"]
        return names.tolist() if indices is None else names.iloc[np.asarray(indices)].tolist()

    def high(self, indices: Indices) -> np.ndarray:
        """Return tiles by position in `rows`: uint8, N x H x W x 3."""
        return self._tiles.stack(self.rows.iloc[np.asarray(indices)], "tile_shard", "tile_index")

    def low(self, indices: Indices) -> np.ndarray:
        """Return low-resolution inputs: uint8, N x H/scale x W/scale x 3."""
        return self._pairs.stack(self.rows.iloc[np.asarray(indices)])

    def high_at(self, index: int) -> np.ndarray:
        """Return one tile by position in `rows`: uint8, H x W x 3, in the shard, not copied."""
        places = self._places
        return self._tiles[places["tile_shard"][index], int(places["tile_index"][index])]

    def low_at(self, index: int) -> np.ndarray:
        """Return one input: uint8, H/scale x W/scale x 3, in the shard, not copied."""
        return self._pairs[self._places["shard"][index], int(self._places["index"][index])]

    def entropies(self, indices: Indices) -> np.ndarray:
        """Return the entropies applied: float32, N x len(entropy_names), in [0, 1]."""
        return self._entropies[np.asarray(indices)]


def read_degradation(pairs_folder: str | Path) -> Degradation:
    """Return the degradation that made the pairs of a folder.

    Raises:
        SuperresError: the folder has no readable description of it.
    """
    path = Path(pairs_folder) / DEGRADATION
    try:
        return Degradation.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SuperresError(f"{path}: not found; the degrade stage has not run") from None
    except (OSError, ValueError, SuperresError) as error:
        raise SuperresError(f"{path}: {error}") from error


def _check_tiles(rows: pd.DataFrame, tiles: pd.DataFrame, tiles_folder: str | Path) -> None:
    """Refuse pairs whose tiles are absent or lie elsewhere than when the pairs were made."""
    pairs = ["tile_id", "tile_shard", "tile_index"]
    wanted = pd.MultiIndex.from_frame(rows[pairs])
    there = wanted.isin(pd.MultiIndex.from_frame(tiles[["id", "shard", "index"]]))
    if not there.all():
        first = rows["tile_id"][~there].iloc[0]
        raise SuperresError(
            f"{tiles_folder}: {(~there).sum()} of {len(rows)} pairs belong to other tiles "
            f"(the first: {first}); run the degrade stage again"
        )


def _check_shards(
    shards: Shards, rows: pd.DataFrame, shard: str, index: str, folder: str | Path
) -> None:
    """Touch the last tile used of each shard: a missing or cut-off file must show up at once."""
    for name, last in rows.groupby(shard)[index].max().items():
        try:
            shards[str(name), int(last)]
        except IndexError:
            raise SuperresError(
                f"{folder}/{name}: has no tile {last}, which {MANIFEST} names"
            ) from None
