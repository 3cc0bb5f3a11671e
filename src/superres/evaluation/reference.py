"""What is computed of the original test tiles once, however often restorations are measured.

The folder holds an `.npy` array of patches per pyramid level, the tiles' Inception features where
the weights were to be had (and their moments, where not all are held), and `reference.json`, which
says what they describe: a reference of other tiles or of other params is refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from superres.core.distributed import Processes, connected, on_first
from superres.core.errors import SuperresError
from superres.core.hashing import PicturesDigest, text_digest
from superres.core.progress import progress_bar
from superres.core.storage import Shards, read_manifest, replacing_folder, rows_of_split, write_json
from superres.metrics.config import FeaturesParams, SwdParams
from superres.metrics.feature_files import (
    features_digest,
    load_array,
    load_features,
    save_features,
)
from superres.metrics.feature_sets import FeatureSet
from superres.metrics.features import LAYER, describe_pictures
from superres.metrics.inception import PREPROCESSING, load_inception
from superres.metrics.swd import Patches, level_sizes
from superres.metrics.weights import (
    RECORD,
    Weights,
    WeightsMissing,
    by_hand,
    find_weights,
    read_record,
)

DESCRIPTION = "reference.json"
PIECE = 32
"""Pictures that one process looks at before the next one's are due."""
Read = Callable[[int], np.ndarray]
"""The number of a picture to its pixels, uint8, H x W x 3."""
THERE, OFF, MISSING, TOO_FEW = "there", "off", "missing", "too few"
"""What `reference.json` says of Inception features: the first, or why they are not there."""


@dataclass(frozen=True)
class Reference:
    """The originals, described."""

    levels: dict[int, np.ndarray]
    """Edge of a pyramid's level in pixels to its patches, float32, P x D."""
    inception: dict[str, Any]
    """`state`, and where that is `there`: `weights`, `sha256`, `layer` and `preprocessing`."""
    features: FeatureSet | None


def write_reference(
    params: FeaturesParams, tiles: str | Path, folder: str | Path, record: Path = RECORD
) -> int:
    """Describe the original test tiles, by any number of processes; return how many there are.

    Args:
        params: how they are described.
        tiles: folder of tiles with a manifest; its split `test` is used.
        folder: replaced as a whole; features of the same tiles and weights in it are kept.
        record: `weights.json`.

    Raises:
        SuperresError: no tiles, or weights that are given but cannot be used.
    """
    rows = rows_of_split(read_manifest(tiles, ("id", "split", "shard", "index")), "test", tiles)
    shards = Shards(tiles)
    places = list(zip(rows["shard"], rows["index"], strict=True))
    ids = rows["id"].tolist()

    def read(number: int) -> np.ndarray:
        name, index = places[number]
        return shards[name, int(index)]

    with connected() as processes:
        weights, state = _weights(params, record, processes)
        if weights is not None and len(ids) < 2:
            weights, state = None, TOO_FEW
        levels, key = _looked_at(params.swd, weights, read, ids, processes)
        inception: dict[str, Any] = {"state": state}
        features = None
        if weights is not None:
            inception |= {
                "weights": weights.name,
                "sha256": weights.sha256,
                "layer": LAYER,
                "preprocessing": PREPROCESSING,
                "content": key,
            }
            features = _described(weights, key, Path(folder), read, ids, processes)
        sizes = level_sizes(min(read(0).shape[:2]))

        def write() -> None:
            described = _description(params, ids, sizes) | {"inception": inception}
            with replacing_folder(folder) as out:
                for size, level in zip(sizes, levels, strict=True):
                    np.save(out / _level_file(size), level, allow_pickle=False)
                if features is not None:
                    save_features(features, out)
                write_json(out / DESCRIPTION, described)

        on_first(processes, write)
    return len(ids)


def _looked_at(
    params: SwdParams, weights: Weights | None, read: Read, ids: list[str], processes: Processes
) -> tuple[list[np.ndarray], str]:
    """Return, to the first process, the tiles' patches by level and what features are found by."""
    patches = Patches(ids, params)
    pieces = [range(at, min(at + PIECE, len(ids))) for at in range(0, len(ids), PIECE)]

    def looked_at(piece: range) -> list[tuple[list[np.ndarray], bytes]]:
        found = []
        for number in piece:
            tile, name = read(number), ids[number]
            known = PicturesDigest.of(tile, name) if weights is not None else b""
            found.append((patches.of(tile, name), known))
        return found

    digest = features_digest(weights, processes.device) if weights is not None else None
    mine = map(looked_at, processes.deal(pieces))
    with progress_bar(len(ids), "reference", "tile", disable=not processes.writes) as bar:
        for piece, found in processes.in_order(pieces, mine):
            for number, (levels, known) in zip(piece, found, strict=True):
                patches.put(ids[number], levels)
                if digest is not None:
                    digest.put(known)
            bar.update(len(piece))
    return patches.levels, digest.hexdigest() if digest is not None else ""


def _described(
    weights: Weights, key: str, folder: Path, read: Read, ids: list[str], processes: Processes
) -> FeatureSet | None:
    """Return the features to the first process: those that are kept, or computed by all."""
    features = _kept(folder, key, len(ids)) if processes.writes else None
    (found,) = processes.of_first([features is not None])
    if found:
        return features
    network = load_inception(weights.path).to(processes.device)
    with progress_bar(len(ids), "features", "tile", disable=not processes.writes) as bar:
        return describe_pictures(network, read, ids, processes, bar.update)


def _weights(
    params: FeaturesParams, record: Path, processes: Processes
) -> tuple[Weights | None, str]:
    """Return the weights, or None where the first process has none, and the state.

    Raises:
        SuperresError: other weights than those that `record` names, or only the first has any.
    """
    if params.inception == "off":
        return None, OFF
    named = read_record(record)
    try:
        weights = processes.by_turns(find_weights)
    except WeightsMissing as error:
        weights = None
        if processes.writes:
            print(
                f"reference: no Inception features: {error}\nBy hand: {by_hand()}.",
                file=sys.stderr,
            )
    weights = processes.found_by_all(weights, "the weights of the Inception network")
    if weights is None:
        return None, MISSING
    if named is not None and named != weights.sha256:
        raise SuperresError(
            f"{record}: names the weights {named[:8]}..., but {weights.path} is "
            f"{weights.sha256[:8]}...; run `make weights` to name those"
        )
    return weights, THERE


def read_reference(params: FeaturesParams, ids: Sequence[str], folder: str | Path) -> Reference:
    """Return what `write_reference` left.

    Raises:
        SuperresError: nothing there, or it describes other tiles or was made with other params.
    """
    path = Path(folder) / DESCRIPTION
    found = _read_description(path)
    sizes = found.get("levels", [])
    inception = found.get("inception", {})
    wanted = _description(params, ids, sizes)
    differing = [key for key, value in wanted.items() if found.get(key) != value] if sizes else []
    if (inception.get("state") == OFF) != (params.inception == "off"):
        differing.append("inception")
    if differing or not sizes:
        raise SuperresError(
            f"{path}: does not belong to these test tiles and params "
            f"({', '.join(differing) or 'no levels'} differ); run the stage reference"
        )
    levels = {size: load_array(Path(folder) / _level_file(size)) for size in sizes}
    features = load_features(Path(folder), len(ids)) if inception["state"] == THERE else None
    return Reference(levels, inception, features)


def _read_description(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise SuperresError(f"{path}: cannot be read; run the stage reference: {error}") from error
    return found if isinstance(found, dict) else {}


def _description(params: FeaturesParams, ids: Sequence[str], sizes: list[int]) -> dict[str, Any]:
    return {
        "tiles": len(ids),
        "ids": text_digest("\n".join(sorted(ids))),
        "levels": sizes,
        "swd": params.swd.model_dump(),
    }


def _kept(folder: Path, key: str, count: int) -> FeatureSet | None:
    """Return the features that an earlier run left of the same content, or None."""
    try:
        found = _read_description(folder / DESCRIPTION).get("inception", {})
        return load_features(folder, count) if found.get("content") == key else None
    except SuperresError:
        return None  # nothing usable: compute it


def _level_file(size: int) -> str:
    return f"swd-{size:04d}.npy"
