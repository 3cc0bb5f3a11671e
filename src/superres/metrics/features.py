"""From pictures to features of the Inception network.

pictures -> features (float32, 2048 each) -> mean, covariance (float64, of all) and a sample (held)

The features themselves, which KID, precision and recall need, are held up to `HELD_AT_MOST` of
them: 20,000 are 164 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch

from superres.core.seeding import derive_seed
from superres.metrics.feature_sets import FeatureSet, Moments
from superres.metrics.inception import Inception, prepare

LAYER = "2048"
WIDTH = 2048
"""Features per picture."""
HELD_AT_MOST = 20_000
"""A larger set is represented by this many of its features, drawn by id."""
BATCH = 32
"""Pictures at a time; a constant, since sums in another order differ in their last bits."""


def describe_pictures(
    network: Inception,
    pictures: Iterable[np.ndarray],
    ids: Sequence[str],
    held_at_most: int = HELD_AT_MOST,
) -> FeatureSet:
    """Return the features of a set of pictures; memory does not grow with their number.

    Args:
        network: on the device that computes.
        pictures: uint8, H x W x 3 each, of any sizes; one per id, read once, one at a time.
        ids: unique names; those that are held are drawn by them, so order does not matter.
        held_at_most: how many features are held.

    Raises:
        ValueError: fewer than two pictures, or an id that is duplicated.
    """
    if len(set(ids)) != len(ids):
        raise ValueError("ids must be unique: the features that are held follow from them")
    rows = {name: row for row, name in enumerate(drawn_ids(ids, held_at_most))}
    held = np.empty((len(rows), WIDTH), np.float32)
    moments = Moments(WIDTH)
    names = iter(ids)
    for block in features_of(network, pictures):
        moments.add(block)
        for feature, name in zip(block, islice(names, len(block)), strict=True):
            if name in rows:
                held[rows[name]] = feature
    if moments.count != len(ids):
        raise ValueError(f"{moments.count} pictures for {len(ids)} ids")
    return FeatureSet(moments.count, moments.mean, moments.covariance(), held)


def drawn_ids(ids: Sequence[str], at_most: int) -> list[str]:
    """Return the ids, sorted: all, or `at_most` of them that follow from their names alone."""
    if len(ids) <= at_most:
        return sorted(ids)
    drawn = sorted(ids, key=lambda name: (derive_seed(0, "held-feature", name), name))
    return sorted(drawn[:at_most])


def features_of(network: Inception, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the features of pictures (uint8, H x W x 3) in blocks: float32, up to 32 x 2048.

    Full float32 even on GPUs that round the inputs of convolutions to 10 bits if they are let to.
    """
    device = next(network.parameters()).device
    waiting = iter(pictures)
    while block := list(islice(waiting, BATCH)):
        prepared = torch.cat([_prepared(picture, device) for picture in block])
        prepared = prepared.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            yield network(prepared, (LAYER,))[LAYER].cpu().numpy()


def _prepared(picture: np.ndarray, device: torch.device) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(picture, copy=True)).to(device)  # shards are read-only maps
    return prepare(pixels.permute(2, 0, 1)[None])
