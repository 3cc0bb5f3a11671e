"""Features on disk: of the originals in `data/reference`, of any other set in the cache folder.

What is cached is looked up by a digest of pixels, names, weights, preprocessing and device, never
by a name, so it cannot be out of date: measuring again after a change of the sampler computes the
features of the model's pictures only, not those of the baselines.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from superres.core.distributed import Processes
from superres.core.errors import SuperresError
from superres.core.hashing import PicturesDigest
from superres.core.storage import replacing_folder
from superres.metrics.feature_sets import FeatureSet, feature_set
from superres.metrics.features import LAYER, describe_pictures
from superres.metrics.inception import PREPROCESSING, Inception
from superres.metrics.weights import Weights, cache_folder

HELD, MEAN, COVARIANCE = (f"inception-{part}.npy" for part in ("held", "mean", "covariance"))
CACHE_BYTES = 2 * 2**30
"""The cache keeps what was used last, up to this."""


def save_features(features: FeatureSet, folder: Path) -> None:
    """Write what is held, and the moments (34 MB) only where they do not follow from it."""
    np.save(folder / HELD, features.held, allow_pickle=False)
    if not features.complete:
        np.save(folder / MEAN, features.mean, allow_pickle=False)
        np.save(folder / COVARIANCE, features.covariance, allow_pickle=False)


def load_features(folder: Path, count: int) -> FeatureSet:
    """Return the features that `save_features` wrote of a set of `count` pictures.

    Raises:
        SuperresError: a file that is missing or damaged.
    """
    held = load_array(folder / HELD)
    if len(held) == count:
        return feature_set(held)
    return FeatureSet(count, load_array(folder / MEAN), load_array(folder / COVARIANCE), held)


def load_array(path: Path) -> np.ndarray:
    """Return an array, mapped from its file.

    Raises:
        SuperresError: not there or not an array; the message names it.
    """
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise SuperresError(f"{path}: not readable; run the stage reference: {error}") from error


def features_digest(weights: Weights, device: torch.device) -> PicturesDigest:
    """Return a digest that a set's features are found by, its pictures and names to be added.

    Devices round differently, so theirs is part of it.
    """
    return PicturesDigest(weights.sha256, PREPROCESSING, LAYER, device.type)


def describe_cached(
    network: Inception,
    key: str,
    read: Callable[[int], np.ndarray],
    ids: Sequence[str],
    processes: Processes,
    bar: tqdm,
) -> FeatureSet | None:
    """Return the features of a set, from the cache folder where it has them.

    Args:
        network: on the device that computes.
        key: of `features_digest`, once all pictures were added; the first process's counts.
        read: see `describe_pictures`; called where the cache lacks the features.
        ids: names of all pictures.
        processes: this one among its peers, all of which call this.
        bar: moved by one for each picture.

    Returns:
        To the first process; None to the others.
    """
    folder = cache_folder() / "features" / key
    features = _cached(folder, len(ids)) if processes.writes else None
    (found,) = processes.of_first([features is not None])
    if found:
        bar.update(len(ids))
        return features
    features = describe_pictures(network, read, ids, processes, bar.update)
    if features is not None:
        _put(features, folder)
    return features


def _cached(folder: Path, count: int) -> FeatureSet | None:
    try:
        features = load_features(folder, count)
    except SuperresError:
        return None
    folder.touch()
    return features


def _put(features: FeatureSet, folder: Path) -> None:
    """Store features and drop those that were used longest ago; without room, say so and go on."""
    try:
        with replacing_folder(folder) as out:
            save_features(features, out)
        entries = sorted((path for path in folder.parent.iterdir()), key=_last_used, reverse=True)
        kept = 0
        for entry in entries:
            kept += sum(file.stat().st_size for file in entry.iterdir())
            if kept > CACHE_BYTES and entry != folder:
                shutil.rmtree(entry)
    except OSError as error:
        print(f"features are not cached: {error}", file=sys.stderr)


def _last_used(path: Path) -> float:
    return path.stat().st_mtime
