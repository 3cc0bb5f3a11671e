"""What is kept of the features of a set of pictures: moments of all, and some of the features.

The mean and the covariance are streamed, so a set may have any size. NumPy alone: the networks that
make features are in `superres.metrics.features`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
        self._take(len(block), mean, centred.T @ centred)

    def merge(self, other: Moments) -> None:
        """Take in what another has; the order of merging shows in the last bits."""
        if other.count:
            self._take(other.count, other.mean, other._scatter)

    def _take(self, count: int, mean: Array, scatter: Array) -> None:
        apart = mean - self.mean
        total = self.count + count
        self._scatter += scatter
        between = np.outer(apart, apart)
        between *= self.count * count / total
        self._scatter += between
        self.mean = self.mean + apart * (count / total)
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
