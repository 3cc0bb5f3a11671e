"""From pictures to features of the Inception network, and what is kept of them: `FeatureSet`.

pictures -> features (float32, 2048 each) -> mean, covariance (float64, of all) and a sample (held)

The mean and the covariance are streamed, so a set may have any size; the features themselves, which
KID, precision and recall need, are held up to `HELD_AT_MOST` of them: 20,000 are 164 MB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from superres.core.seeding import derive_seed
from superres.metrics.inception import Inception, prepare

LAYER = "2048"
WIDTH = 2048
"""Features per picture."""
HELD_AT_MOST = 20_000
"""A larger set is represented by this many of its features, drawn by id."""
BATCH = 32
"""Pictures at a time; a constant, since sums in another order differ in their last bits."""

Array = NDArray[np.float64]

_ROWS_AT_ONCE = 1024  # of features in float64: memory


@dataclass(frozen=True)
class FeatureSet:
    """What FID, KID, precision and recall need to know of a set of pictures."""

    count: int
    """Pictures."""
    mean: Array
    """D."""
    covariance: Array
    """D x D, divided by `count` - 1."""
    held: NDArray[np.float32]
    """H x D, in the order of the ids; H is `count`, or less of a set that is too large."""

    @property
    def complete(self) -> bool:
        """Whether every picture's features are held."""
        return len(self.held) == self.count


class Moments:
    """Mean and covariance of a stream of vectors, in float64 (Chan, Golub and LeVeque 1983)."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.mean: Array = np.zeros(width)
        self._scatter: Array = np.zeros((width, width))

    def add(self, vectors: np.ndarray) -> None:
        """Take in vectors, N x D, of any real type; N may be 0."""
        if len(vectors) == 0:
            return
        block = np.asarray(vectors, dtype=np.float64)
        mean = block.mean(axis=0)
        centred = block - mean
        apart = mean - self.mean
        total = self.count + len(block)
        self._scatter += centred.T @ centred
        self._scatter += np.outer(apart, apart) * (self.count * len(block) / total)
        self.mean = self.mean + apart * (len(block) / total)
        self.count = total

    def covariance(self) -> Array:
        """Return the covariance, D x D, divided by the count minus one.

        Raises:
            ValueError: fewer than two vectors have none.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 vectors, got {self.count}")
        return self._scatter / (self.count - 1)


def feature_set(features: np.ndarray) -> FeatureSet:
    """Return the set of features that are there as a whole: N x D, N of at least 2."""
    moments = Moments(features.shape[1])
    for first in range(0, len(features), _ROWS_AT_ONCE):
        moments.add(features[first : first + _ROWS_AT_ONCE])
    held = np.asarray(features, dtype=np.float32)
    return FeatureSet(moments.count, moments.mean, moments.covariance(), held)


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
        ValueError: fewer than two pictures, or an id that stands twice.
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


def content_key(pictures: Iterable[np.ndarray], ids: Sequence[str], *settings: str) -> str:
    """Return a digest of pictures, their names and what is done to them (hexadecimal).

    Features that were computed under the same key need not be computed again.
    """
    digest = hashlib.blake2b("\x1f".join(settings).encode(), digest_size=16)
    for picture, name in zip(pictures, ids, strict=True):
        digest.update(f"\x1e{name}\x1f{picture.shape}\x1f".encode())
        digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()
