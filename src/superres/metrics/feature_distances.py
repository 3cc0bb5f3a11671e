"""How far two sets of features are from each other: FID, KID, precision and recall.

All in float64; the features may be those of any network, D per picture.
"""

from __future__ import annotations

import numpy as np

from superres.metrics.config import KidParams
from superres.metrics.feature_sets import Array, FeatureSet

_ROWS_AT_ONCE = 1024  # of a matrix of distances: memory


def frechet_distance(one: FeatureSet, other: FeatureSet) -> float:
    """Return the Fréchet distance of two normal distributions with the sets' moments (FID).

    Heusel et al. 2017 (arXiv 1706.08500), equation 6: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).
    The last trace is the sum of the square roots of the eigenvalues of S1 S2. With S = F F^T these
    roots are the singular values of F1^T F2: real and not negative, whatever the rank, with nothing
    added to the diagonals, and exact where the square root of a round-off error would not be.

    Returns:
        Not negative; 0 for equal sets up to round-off.
    """
    shared = np.linalg.svd(_factor(one).T @ _factor(other), compute_uv=False).sum()
    apart = one.mean - other.mean
    traces = np.trace(one.covariance) + np.trace(other.covariance)
    return max(0.0, float(apart @ apart + traces - 2 * shared))


def _factor(features: FeatureSet) -> Array:
    """Return F, D x R, with F F^T the covariance and R its rank at most."""
    if features.complete and features.count <= features.covariance.shape[0]:
        centred = features.held.astype(np.float64) - features.mean
        return np.asarray(centred.T / np.sqrt(features.count - 1))
    values, vectors = np.linalg.eigh(features.covariance)
    noise = np.finfo(np.float64).eps * len(values) * max(values[-1], 0.0)
    real = values > noise
    return np.asarray(vectors[:, real] * np.sqrt(values[real]))


def kernel_distance(one: FeatureSet, other: FeatureSet, params: KidParams) -> tuple[float, float]:
    """Return the squared maximum mean discrepancy of random subsets (KID): mean and deviation.

    Binkowski et al. 2018 (arXiv 1801.01401): kernel (x y / D + 1)^3, or as `params` say, unbiased
    estimate. As in torch-fidelity, one stream draws the subsets, the first set's before the
    second's each time, and the deviation divides by the number of subsets.

    Args:
        one: drawn from first.
        other: drawn from second.
        params: subsets, their size, the kernel and the seed; the size is cut to the features that
            are held.

    Raises:
        ValueError: fewer than two features are held of a set.
    """
    size = subset_size(one, other, params)
    if size < 2:
        raise ValueError("a subset needs at least 2 features")
    stream = np.random.RandomState(params.seed)
    values = np.empty(params.subsets)
    for number in range(params.subsets):
        first = one.held[stream.choice(len(one.held), size, replace=False)]
        second = other.held[stream.choice(len(other.held), size, replace=False)]
        values[number] = _discrepancy(first.astype(np.float64), second.astype(np.float64), params)
    return float(values.mean()), float(values.std())


def subset_size(one: FeatureSet, other: FeatureSet, params: KidParams) -> int:
    """Return how many features a subset of KID holds."""
    return min(params.subset_size, len(one.held), len(other.held))


def _discrepancy(one: Array, other: Array, params: KidParams) -> float:
    size, width = one.shape
    gamma = 1 / width if params.gamma is None else params.gamma

    def kernel(x: Array, y: Array) -> Array:
        return np.asarray((gamma * (x @ y.T) + params.coef0) ** params.degree)

    within = 0.0
    for features in (one, other):
        similar = kernel(features, features)
        within += float(similar.sum() - np.trace(similar))
    return within / (size * (size - 1)) - 2 * float(kernel(one, other).mean())


def precision(original: FeatureSet, restored: FeatureSet, neighbours: int) -> float:
    """Return the share of restored features in the originals' manifold.

    It says whether they look right.

    Kynkäänniemi et al. 2019 (arXiv 1904.06991), equations 1, 2. A set's manifold is the union of
    balls around its features, each reaching to the feature's `neighbours`-th nearest neighbour in
    the set. The paper uses VGG-16, here it is Inception.

    Raises:
        ValueError: the originals do not hold more than `neighbours` features.
    """
    originals, others = original.held.astype(np.float64), restored.held.astype(np.float64)
    return _share_within(others, originals, _radii(originals, neighbours))


def recall(original: FeatureSet, restored: FeatureSet, neighbours: int) -> float:
    """Return the share of original features in the restored ones' manifold.

    It says whether all variety is there.

    See `precision`.

    Raises:
        ValueError: the restored set does not hold more than `neighbours` features.
    """
    return precision(restored, original, neighbours)


def _radii(features: Array, neighbours: int) -> Array:
    """Return each feature's squared distance from its k-th nearest neighbour: N."""
    if len(features) <= neighbours:
        raise ValueError(f"{neighbours} neighbours need more features, got {len(features)}")
    radii = np.empty(len(features))
    for first in range(0, len(features), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        squares = _squared_distances(features[rows], features)
        # Itself is no neighbour, even where round-off would leave something nearer.
        squares[np.arange(len(squares)), first + np.arange(len(squares))] = np.inf
        radii[rows] = np.partition(squares, neighbours - 1, axis=1)[:, neighbours - 1]
    return radii


def _share_within(points: Array, centres: Array, radii: Array) -> float:
    inside = 0
    for first in range(0, len(points), _ROWS_AT_ONCE):
        squares = _squared_distances(points[first : first + _ROWS_AT_ONCE], centres)
        inside += int((squares <= radii).any(axis=1).sum())
    return inside / len(points)


def _squared_distances(points: Array, others: Array) -> Array:
    """Return squared Euclidean distances, P x Q, by the expanded square."""
    lengths = (points**2).sum(axis=1)[:, np.newaxis] + (others**2).sum(axis=1)
    return np.maximum(lengths - 2 * points @ others.T, 0)
