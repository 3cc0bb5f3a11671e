from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from superres.metrics.config import SwdParams
from superres.metrics.swd import (
    descriptors,
    directions,
    laplacian_pyramid,
    level_sizes,
    patches_per_tile,
    sliced_distance,
    sliced_distances,
    tiles_used,
)

PARAMS = SwdParams(patches_per_tile=64, max_patches=65536, projections=128, seed=0)
IDS = [f"tile-{number}" for number in range(12)]


def tiles(seed=0, size=32, count=12):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 200, (count, size, size, 3), dtype=np.uint8)


def distances(restored, original, ids=IDS, params=PARAMS):
    reference = descriptors(original, IDS, params)
    return sliced_distances(reference, descriptors(restored, ids, params), params)


@pytest.mark.parametrize(
    ("size", "expected"), [(64, [64, 32, 16]), (16, [16]), (31, [31, 16]), (50, [50, 25])]
)
def test_level_sizes(size, expected):
    assert level_sizes(size) == expected
    pyramid = laplacian_pyramid(np.zeros((size, size, 3), np.uint8))
    assert [level.shape for level in pyramid] == [(edge, edge, 3) for edge in expected]


def test_tiles_below_the_smallest_level_are_refused():
    with pytest.raises(ValueError, match="at least 16 px, got 15"):
        level_sizes(15)


@pytest.mark.parametrize("size", [64, 50])
def test_flat_colour_is_all_in_the_last_level(size):
    pyramid = laplacian_pyramid(np.full((size, size, 3), 100, np.uint8))
    for level in pyramid[:-1]:
        assert level[4:-4, 4:-4] == pytest.approx(0, abs=1e-4)
    assert pyramid[-1] == pytest.approx(100)


def test_a_set_has_no_distance_from_itself():
    assert distances(tiles(), tiles()) == [0, 0]


def test_a_shift_of_colour_has_the_analytic_distance():
    """All patches of the last level move by 10 in each of 147 dimensions: along a unit vector d the
    distance is 10 |sum d|, and |sum d| has the mean sqrt(2 / pi) over the sphere."""
    original = tiles()
    fine, coarse = distances(original + np.uint8(10), original)
    assert fine == pytest.approx(0, abs=1e-2)
    exact = np.abs(directions(1, 147, PARAMS).sum(axis=1)).mean() * 10
    assert coarse == pytest.approx(exact, rel=1e-4)
    many = SwdParams(patches_per_tile=1, max_patches=16, projections=4096, seed=1)
    coarse = distances(original + np.uint8(10), original, params=many)[-1]
    assert coarse == pytest.approx(10 * np.sqrt(2 / np.pi), rel=0.03)


def test_distance_in_one_dimension_is_the_mean_gap_of_sorted_values():
    one, other = np.float32([[0], [4], [1]]), np.float32([[2], [7], [0]])
    along = np.float32([[1], [-1]])  # sorted: 0 1 4 and 0 2 7
    assert sliced_distance(one, other, along) == pytest.approx((0 + 1 + 3) / 3)


def test_distance_falls_as_blur_falls():
    original = tiles(size=64)
    blurs = [2.0, 1.0, 0.5, 0.3, 0.0]
    means = [
        np.mean(distances(gaussian_filter(original, (0, sigma, sigma, 0)), original))
        for sigma in blurs
    ]
    assert all(more > less for more, less in pairwise(means))
    assert means[-1] == 0


def test_lost_contrast_is_not_normalised_away():
    original = tiles()
    faded = (original * 0.5).astype(np.uint8)
    assert distances(faded, original)[0] > 0.25 * descriptors(original, IDS, PARAMS)[0].std()


def test_order_of_tiles_does_not_matter():
    original = tiles()
    restored = gaussian_filter(original, (0, 1, 1, 0))
    order = np.random.default_rng(3).permutation(len(IDS))
    shuffled = [IDS[place] for place in order]
    assert distances(restored[order], original, shuffled) == distances(restored, original)


def test_max_patches_bounds_the_descriptors():
    few = PARAMS.model_copy(update={"max_patches": 20})
    assert patches_per_tile(len(IDS), few) == 1
    assert [len(level) for level in descriptors(tiles(), IDS, few)] == [12, 12]
    ids = [str(number) for number in range(40)]
    level = descriptors(tiles(count=40), ids, few)[0]
    assert len(level) == 20
    backwards = descriptors(tiles(count=40)[::-1], ids[::-1], few)[0]
    assert np.array_equal(level, backwards)
    assert tiles_used(ids, few) != sorted(ids)[:20]


def test_ids_must_be_unique_and_there():
    with pytest.raises(ValueError, match="unique"):
        descriptors(tiles(count=2), ["a", "a"], PARAMS)
    with pytest.raises(ValueError, match="without tiles"):
        descriptors([], [], PARAMS)
    with pytest.raises(ValueError, match="zip"):
        descriptors(tiles(count=3), ["a", "b"], PARAMS)


def test_sets_of_different_size_are_refused():
    with pytest.raises(ValueError, match="differ in size"):
        sliced_distance(np.zeros((3, 2)), np.zeros((4, 2)), np.zeros((1, 2)))


def test_directions_are_unit_vectors_that_differ_by_level():
    first, second = (directions(level, 147, PARAMS) for level in (0, 1))
    assert np.linalg.norm(first, axis=1) == pytest.approx(1)
    assert not np.allclose(first, second)
