"""Measuring the contenders of a run, restorations and baselines, on its test pairs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from superres.core.distributed import Processes, connected, on_first
from superres.core.errors import SuperresError
from superres.core.progress import progress_bar
from superres.core.storage import MANIFEST, Shards, read_manifest
from superres.degradation.chain import Degradation
from superres.degradation.dataset import PairSet
from superres.degradation.degrade import degrade
from superres.evaluation.measure import (
    Instruments,
    Measured,
    PictureSet,
    Read,
    measure_contender,
)
from superres.evaluation.measuring_networks import (
    absence_notes,
    feature_notes,
    open_network,
    open_pair_networks,
    reason_and_remedy,
)
from superres.evaluation.outputs import write_figures
from superres.evaluation.reference import read_reference
from superres.metrics.baselines import BASELINES, upsample
from superres.metrics.catalog import FeatureSettings
from superres.metrics.config import EvaluateParams
from superres.metrics.pairwise import Degrade
from superres.metrics.weights import DISTS, LPIPS, RECORD, read_record

REQUIRED = ("model", "estimate")
"""Contenders that `data/samples` must hold; `mean` is there with more than one sample per tile."""


class Folders(NamedTuple):
    """Where a measurement finds its inputs and leaves its tables."""

    tiles: Path = Path("data/tiles")
    pairs: Path = Path("data/pairs")
    samples: Path = Path("data/samples")
    reference: Path = Path("data/reference")
    reports: Path = Path("reports")
    record: Path = RECORD


def measure(params: EvaluateParams, folders: Folders) -> int:
    """Measure every contender on the test pairs, by any number of processes; return how many pairs.

    The first process writes into `folders.reports` what `superres.evaluation.outputs` lists.

    Raises:
        SuperresError: an input is missing, or restored tiles and test pairs do not match.
    """
    with connected() as processes:
        return _measure(params, folders, processes)


def _measure(params: EvaluateParams, folders: Folders, processes: Processes) -> int:
    pairs = PairSet(folders.tiles, folders.pairs, "test")
    ids = pairs.rows["tile_id"].tolist()
    reference = read_reference(params.features, ids, folders.reference)
    named = read_record(folders.record) is not None
    contenders = {**_restored(folders.samples, pairs), **_baselines(params, pairs)}
    opened, state = open_network(reference, processes)
    wanted = [name for name in (LPIPS, DISTS) if read_record(folders.record, name) is not None]
    smallest = min(pairs.high_at(0).shape[:2])
    networks, absent = open_pair_networks(list(contenders), smallest, processes, wanted)
    instruments = Instruments(
        params.border_crop,
        FeatureSettings(params.kid, params.neighbours),
        params.features.swd,
        list(reference.levels.values()),
        networks,
        opened,
        reference.features,
    )
    pictures = PictureSet(ids, pairs.high_at, pairs.low_at, partial(_degrader, pairs))
    total = instruments.passes * len(contenders) * len(ids)
    measured: dict[str, Measured] = {}
    with progress_bar(total, "measure", "tile", disable=not processes.writes) as bar:
        for name, restored in contenders.items():
            found = measure_contender(restored, pictures, instruments, processes, bar)
            if found is not None:
                measured[name] = found

    def write() -> None:
        places = _places(pairs)
        tiles = [
            {**place, "contender": name, **figures}
            for name, found in measured.items()
            for place, figures in zip(places, found.rows, strict=True)
        ]
        swd_rows = [
            {"contender": name, "level_px": size, "swd": distance}
            for name, found in measured.items()
            for size, distance in zip(reference.levels, found.swd, strict=True)
        ]
        if opened is not None and reference.features is not None:
            weights = str(reference.inception["weights"])
            settings = instruments.settings
            notes = feature_notes(list(measured), reference.features, settings, weights)
        else:
            notes = absence_notes(list(measured), reason_and_remedy(state, named))
        write_figures(
            folders.reports,
            pd.DataFrame(tiles),
            pd.DataFrame(swd_rows),
            {name: found.sets for name, found in measured.items()},
            [*notes, *absent],
            reference.inception if opened is not None else {},
            params,
        )

    on_first(processes, write)
    return len(ids)


def _places(pairs: PairSet) -> list[dict[str, Any]]:
    """Return what `per_tile.csv` says of each pair besides its figures."""
    columns = ["id", "source", "x", "y", *(f"entropy_{name}" for name in pairs.entropy_names)]
    rows = (pairs.rows.iloc[number] for number in range(len(pairs)))
    return [{name: row[name] for name in columns} for row in rows]


def _degrader(pairs: PairSet, number: int) -> Degrade:
    """Return what made a pair's input of its tile."""
    row = pairs.rows.iloc[number]
    entropies = {name: float(row[f"entropy_{name}"]) for name in pairs.entropy_names}
    item = str(row["id"])
    return partial(_degraded, degradation=pairs.degradation, entropies=entropies, item=item)


def _degraded(
    tile: np.ndarray, degradation: Degradation, entropies: dict[str, float], item: str
) -> np.ndarray:
    return degrade(degradation, tile, entropies, item)[0]


def _baselines(params: EvaluateParams, pairs: PairSet) -> dict[str, Read]:
    size = pairs.high_at(0).shape[:2]

    def restorer(method: str) -> Read:
        return lambda number: upsample(pairs.low_at(number), size, method)

    wanted = {"bicubic", *params.baselines}
    return {method: restorer(method) for method in BASELINES if method in wanted}


def _restored(folder: Path, pairs: PairSet) -> dict[str, Read]:
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
    size = pairs.high_at(0).shape
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


def _reader(shards: Shards, rows: pd.DataFrame, size: tuple[int, ...], who: str) -> Read:
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
