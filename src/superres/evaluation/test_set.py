"""Joins the pairs and the restored tiles of a run with what `superres.evaluation` measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from superres.core.errors import SuperresError
from superres.core.progress import counting, progress_bar
from superres.core.storage import MANIFEST, Shards, read_manifest
from superres.degradation.chain import Degradation
from superres.degradation.dataset import PairSet
from superres.degradation.degrade import degrade
from superres.evaluation.reference import read_reference
from superres.evaluation.spreading import spread
from superres.evaluation.writing import write_figures
from superres.metrics.baselines import BASELINES, upsample
from superres.metrics.config import EvaluateParams
from superres.metrics.feature_files import describe_cached
from superres.metrics.fidelity import measure_tile
from superres.metrics.lpips import Lpips, distances
from superres.metrics.perception import (
    Perception,
    absent,
    feature_figures,
    feature_notes,
    open_lpips,
    open_network,
    reason_and_remedy,
)
from superres.metrics.swd import descriptors, sliced_distances
from superres.metrics.weights import LPIPS, RECORD, read_record

REQUIRED = ("model", "estimate")
"""Contenders that `data/samples` must hold; `mean` is there with more than one sample per tile."""

Restore = Callable[[int], np.ndarray]
"""Number of a test pair to its restored tile, uint8, H x W x 3."""

_BATCH = 64  # pairs that a process measures at a time


class Folders(NamedTuple):
    """Where a measurement finds its inputs and leaves its tables."""

    tiles: Path = Path("data/tiles")
    pairs: Path = Path("data/pairs")
    samples: Path = Path("data/samples")
    reference: Path = Path("data/reference")
    reports: Path = Path("reports")
    record: Path = RECORD


def measure(params: EvaluateParams, folders: Folders) -> int:
    """Measure every contender on the test pairs and return how many pairs there are.

    Writes into `folders.reports` what `superres.evaluation.writing` lists.

    Raises:
        SuperresError: an input is missing, or restored tiles and test pairs do not match.
    """
    pairs = PairSet(folders.tiles, folders.pairs, "test")
    ids = pairs.rows["tile_id"].tolist()
    reference = read_reference(params.features, ids, folders.reference)
    named = read_record(folders.record) is not None
    opened, state = open_network(reference)
    contenders = {**_restored(folders.samples, pairs), **_baselines(params, pairs)}
    edge = min(pairs.high([0])[0].shape[:2])
    wanted = read_record(folders.record, LPIPS) is not None
    lpips, lpips_notes = open_lpips(list(contenders), edge, wanted)
    swd, original = params.features.swd, reference.features
    tiles: list[dict[str, Any]] = []
    swd_rows: list[dict[str, Any]] = []
    figures: dict[str, dict[str, float | None]] = {}
    total = (2 + (opened is not None) + (lpips is not None)) * len(contenders) * len(ids)
    with progress_bar(total, "measure", "tile") as bar:
        for name, restore in contenders.items():
            rows = list(counting(_measure_pairs(pairs, name, restore, params.border_crop), bar))
            if lpips is not None:
                found = counting(_lpips_of_pairs(lpips, pairs, restore), bar)
                rows = [row | {"lpips": one} for row, one in zip(rows, found, strict=True)]
            tiles += rows
            patches = descriptors(counting(map(restore, range(len(ids))), bar), ids, swd)
            levels = sliced_distances(list(reference.levels.values()), patches, swd)
            swd_rows += [
                {"contender": name, "level_px": size, "swd": distance}
                for size, distance in zip(reference.levels, levels, strict=True)
            ]
            if opened is not None and original is not None:
                pictures = partial(map, restore, range(len(ids)))
                features = describe_cached(*opened, pictures, ids, bar)
                figures[name] = feature_figures(original, features, params.kid, params.neighbours)
    if figures and original is not None:
        weights = str(reference.inception["weights"])
        notes = feature_notes(list(figures), original, params.kid, params.neighbours, weights)
        perception = Perception(figures, notes)
    else:
        perception = absent(list(contenders), reason_and_remedy(state, named))
    write_figures(
        folders.reports,
        pd.DataFrame(tiles),
        pd.DataFrame(swd_rows),
        perception._replace(notes=[*perception.notes, *lpips_notes]),
        reference.inception if figures else {},
        params,
    )
    return len(ids)


def _lpips_of_pairs(network: Lpips, pairs: PairSet, restore: Restore) -> Iterator[float]:
    numbers = range(len(pairs))
    return distances(network, ((restore(n), pairs.high([n])[0]) for n in numbers))


def _measure_pairs(
    pairs: PairSet, contender: str, restore: Restore, border_crop: int
) -> Iterator[dict[str, Any]]:
    """Yield a row of `per_tile.csv` for each pair, in order; in several processes if asked for."""
    columns = {name: f"entropy_{name}" for name in pairs.entropy_names}
    work = partial(_measure_batch, degradation=pairs.degradation, border_crop=border_crop)
    numbers = iter(range(len(pairs)))
    for figures_of_batch in spread(work, _batches(pairs, restore)):
        for figures in figures_of_batch:
            row = pairs.rows.iloc[next(numbers)]
            place = {name: row[name] for name in ("id", "source", "x", "y", *columns.values())}
            yield {**place, "contender": contender, **figures}


Batch = tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, float]], list[str]]
"""Restored tiles, originals, inputs (uint8, N x H x W x 3), the strengths applied to each, and the
pairs' ids."""


def _batches(pairs: PairSet, restore: Restore) -> Iterator[Batch]:
    for first in range(0, len(pairs), _BATCH):
        numbers = range(first, min(first + _BATCH, len(pairs)))
        restored = np.stack([restore(number) for number in numbers])
        strengths = [
            {
                name: float(pairs.rows.iloc[number][f"entropy_{name}"])
                for name in pairs.entropy_names
            }
            for number in numbers
        ]
        ids = [str(pairs.rows.iloc[number]["id"]) for number in numbers]
        yield restored, pairs.high(numbers), pairs.low(numbers), strengths, ids


def _measure_batch(
    batch: Batch, degradation: Degradation, border_crop: int
) -> list[dict[str, float]]:
    measured = []
    for restored, original, low, strengths, item in zip(*batch, strict=True):
        again = partial(_degraded, degradation=degradation, strengths=strengths, item=item)
        measured.append(measure_tile(restored, original, low, again, border_crop))
    return measured


def _degraded(
    tile: np.ndarray, degradation: Degradation, strengths: dict[str, float], item: str
) -> np.ndarray:
    return degrade(degradation, tile, strengths, item)[0]


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
