"""What is computed of the original test tiles once, however often restorations are measured.

The folder holds an `.npy` array of patches per pyramid level, the tiles' Inception features where
the weights were to be had (and their moments, where not all are held), and `reference.json`, which
says what they describe: a reference of other tiles or of other params is refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from superres.core.device import pick_device
from superres.core.errors import SuperresError
from superres.core.hashing import text_digest
from superres.core.progress import counting, progress_bar
from superres.core.storage import Shards, read_manifest, replacing_folder, rows_of_split, write_json
from superres.metrics.config import FeaturesParams
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
    """Describe the original test tiles and return how many there are.

    Args:
        params: how they are described.
        tiles: folder of tiles with a manifest; its split `test` is used.
        folder: replaced as a whole; features of the same tiles and weights in it are kept.
        record: `weights.json`.

    Raises:
        SuperresError: no tiles, or weights that are given but cannot be used.
    """
    weights = _weights(params, record)
    rows = rows_of_split(read_manifest(tiles, ("id", "split", "shard", "index")), "test", tiles)
    shards = Shards(tiles)
    places = list(zip(rows["shard"], rows["index"], strict=True))
    ids = rows["id"].tolist()

    def originals() -> Iterator[np.ndarray]:
        return (shards[name, int(index)] for name, index in places)

    device = pick_device()
    patches = Patches(ids, params.swd)
    digest = features_digest(weights, device) if isinstance(weights, Weights) else None
    with progress_bar(len(ids), "reference", "tile") as bar:
        for tile, name in zip(counting(originals(), bar), ids, strict=True):
            patches.add(tile, name)
            if digest is not None:
                digest.add(tile, name)
    sizes = level_sizes(min(shards[places[0]].shape[:2]))
    inception: dict[str, Any] = {"state": weights if isinstance(weights, str) else THERE}
    features = None
    if isinstance(weights, Weights) and len(ids) < 2:
        inception = {"state": TOO_FEW}
    elif isinstance(weights, Weights) and digest is not None:
        key = digest.hexdigest()
        inception |= {
            "weights": weights.name,
            "sha256": weights.sha256,
            "layer": LAYER,
            "preprocessing": PREPROCESSING,
            "content": key,
        }
        features = _kept(Path(folder), key, len(ids))
        if features is None:
            network = load_inception(weights.path).to(device)
            with progress_bar(len(ids), "features", "tile") as bar:
                features = describe_pictures(network, counting(originals(), bar), ids)
    with replacing_folder(folder) as out:
        for size, level in zip(sizes, patches.levels, strict=True):
            np.save(out / _level_file(size), level, allow_pickle=False)
        if features is not None:
            save_features(features, out)
        write_json(out / DESCRIPTION, _description(params, ids, sizes) | {"inception": inception})
    return len(ids)


def _weights(params: FeaturesParams, record: Path) -> Weights | str:
    """Return the weights or why there are none.

    Raises:
        SuperresError: other weights than those that `record` names.
    """
    if params.inception == "off":
        return OFF
    named = read_record(record)
    try:
        weights = find_weights()
    except WeightsMissing as error:
        print(f"reference: no Inception features: {error}\nBy hand: {by_hand()}.", file=sys.stderr)
        return MISSING
    if named is not None and named != weights.sha256:
        raise SuperresError(
            f"{record}: names the weights {named[:8]}..., but {weights.path} is "
            f"{weights.sha256[:8]}...; run `make weights` to name those"
        )
    return weights


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
