"""Joins the pairs and the restored tiles of a run with what `superres.evaluation` measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from superres.data.dataset import PairSet
from superres.data.degradation import degrade
from superres.errors import SuperresError
from superres.evaluation.contenders import BASELINES, upsample
from superres.evaluation.distribution import descriptors, sliced_distances
from superres.evaluation.fidelity import measure_tile
from superres.evaluation.reference import read_reference
from superres.evaluation.summary import summarize
from superres.params.evaluate import EvaluateParams
from superres.progress import counting, progress_bar
from superres.storage import MANIFEST, Shards, read_manifest, write_csv, write_json

REQUIRED = ("model", "estimate")
"""Contenders that `data/samples` must hold; `mean` is there with more than one sample per tile."""

Restore = Callable[[int], np.ndarray]
"""Number of a test pair to its restored tile, uint8, H x W x 3."""


class Folders(NamedTuple):
    """Where a measurement finds its inputs and leaves its tables."""

    tiles: Path = Path("data/tiles")
    pairs: Path = Path("data/pairs")
    samples: Path = Path("data/samples")
    reference: Path = Path("data/reference")
    reports: Path = Path("reports")


def measure(params: EvaluateParams, folders: Folders) -> int:
    """Measure every contender on the test pairs and return how many pairs there are.

    Writes `metrics.json`, `per_tile.csv`, `swd.csv` and `notes.json` into `folders.reports`.

    Raises:
        SuperresError: an input is missing, or restored tiles and test pairs do not match.
    """
    pairs = PairSet(folders.tiles, folders.pairs, "test")
    ids = pairs.rows["tile_id"].tolist()
    reference = read_reference(params.features, ids, folders.reference)
    contenders = {**_restored(folders.samples, pairs), **_baselines(params, pairs)}
    tiles, distances, swd = [], [], params.features.swd
    with progress_bar(2 * len(contenders) * len(ids), "measure", "tile") as bar:
        for name, restore in contenders.items():
            for number in range(len(ids)):
                tiles.append(_measure_pair(pairs, number, name, restore(number), params))
                bar.update()
            patches = descriptors(counting(map(restore, range(len(ids))), bar), ids, swd)
            levels = sliced_distances(list(reference.values()), patches, swd)
            distances += [
                {"contender": name, "level_px": size, "swd": distance}
                for size, distance in zip(reference, levels, strict=True)
            ]
    per_tile, by_level = pd.DataFrame(tiles), pd.DataFrame(distances)
    metrics, notes = summarize(per_tile, by_level)
    write_csv(folders.reports / "per_tile.csv", per_tile)
    write_csv(folders.reports / "swd.csv", by_level)
    write_json(folders.reports / "notes.json", notes)
    write_json(folders.reports / "metrics.json", metrics)
    return len(ids)


def _measure_pair(
    pairs: PairSet, number: int, contender: str, restored: np.ndarray, params: EvaluateParams
) -> dict[str, Any]:
    row = pairs.rows.iloc[number]
    columns = {name: f"entropy_{name}" for name in pairs.entropy_names}
    strengths = {name: float(row[column]) for name, column in columns.items()}

    def degrade_again(tile: np.ndarray) -> np.ndarray:
        return degrade(pairs.degradation, tile, strengths)[0]

    figures = measure_tile(
        restored,
        pairs.high([number])[0],
        pairs.low([number])[0],
        degrade_again,
        params.border_crop,
    )
    place = {name: row[name] for name in ("id", "source", "x", "y", *columns.values())}
    return {**place, "contender": contender, **figures}


def _baselines(params: EvaluateParams, pairs: PairSet) -> dict[str, Restore]:
    size = pairs.high([0])[0].shape[:2]

    def restorer(method: str) -> Restore:
        return lambda number: upsample(pairs.low([number])[0], size, method)

    wanted = {"bicubic", *params.baselines}
    return {method: restorer(method) for method in BASELINES if method in wanted}


def _restored(folder: Path, pairs: PairSet) -> dict[str, Restore]:
    """Return how to read each contender's tile of a test pair.

    Raises:
        SuperresError: a contender of `REQUIRED` is missing, or one has not each test pair once.
    """
    manifest = read_manifest(folder, ("id", "contender", "shard", "index"))
    found = [name for name in (*REQUIRED, "mean") if name in set(manifest["contender"])]
    for name in REQUIRED:
        if name not in found:
            raise SuperresError(f"{folder}/{MANIFEST}: has no tiles of the contender '{name}'")
    shards = Shards(folder)
    size = pairs.high([0])[0].shape
    return {
        name: _reader(
            shards,
            _rows_in_order(manifest[manifest["contender"] == name], name, pairs, folder),
            size,
            f"{folder}: the contender '{name}'",
        )
        for name in found
    }


def _rows_in_order(
    rows: pd.DataFrame, contender: str, pairs: PairSet, folder: Path
) -> pd.DataFrame:
    """Return a contender's rows in the order of the pairs, each exactly once."""
    who = f"{folder}/{MANIFEST}: the contender '{contender}'"
    twice = rows["id"][rows["id"].duplicated()]
    if not twice.empty:
        raise SuperresError(f"{who} has {twice.iloc[0]} twice; run the stage sample")
    ids = pairs.rows["id"]
    missing = ids[~ids.isin(rows["id"])]
    if not missing.empty:
        raise SuperresError(
            f"{who} lacks {len(missing)} of {len(ids)} test pairs, for example "
            f"{missing.iloc[0]}; run the stage sample"
        )
    return rows.set_index("id", drop=False).loc[ids]


def _reader(shards: Shards, rows: pd.DataFrame, size: tuple[int, ...], who: str) -> Restore:
    def restore(number: int) -> np.ndarray:
        row = rows.iloc[number]
        tile = shards[row["shard"], int(row["index"])]
        if tile.shape != size:
            raise SuperresError(
                f"{who} has {row['id']} at {tile.shape[1]} x {tile.shape[0]} pixels, its original "
                f"is {size[1]} x {size[0]}; run the stage sample"
            )
        return tile

    return restore
