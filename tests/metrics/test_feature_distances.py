import numpy as np
import pytest

from superres.metrics.config import KidParams
from superres.metrics.feature_distances import (
    frechet_distance,
    kernel_distance,
    precision,
    recall,
    subset_size,
)
from superres.metrics.feature_sets import FeatureSet, Moments
from support import GOLDEN


def precision_recall(original, restored, neighbours):
    arguments = (original, restored, neighbours)
    return precision(*arguments), recall(*arguments)


WANTED = np.load(GOLDEN / "inception_small.npz")


def features(values, complete=True):
    """A set of float64 features; incomplete, as of more pictures than are held."""
    values = np.asarray(values, dtype=np.float64)
    moments = Moments(values.shape[1])
    moments.add(values)
    held = values if complete else values[:-1]
    return FeatureSet(moments.count, moments.mean, moments.covariance(), held)


def golden(name, complete=True):
    return features(WANTED[name], complete)  # stored in float32: moves the figures by 1e-8


def kid(**changes):
    return KidParams(**({"subsets": 100, "subset_size": 1000, "seed": 2020} | changes))


def test_fid_equals_the_reference():
    found = frechet_distance(golden("feat1"), golden("feat2"))
    assert found == pytest.approx(float(WANTED["fid"]), rel=1e-6)


@pytest.mark.parametrize("complete", [True, False])
def test_fid_of_fewer_samples_than_features_equals_the_reference(complete):
    one, other = golden("feat_small1", complete), golden("feat_small2", complete)
    found = frechet_distance(one, other)
    assert isinstance(found, float)
    assert found == pytest.approx(float(WANTED["fid_rank_deficient"]), rel=1e-6)


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("name", ["feat1", "feat_small1"])
@pytest.mark.parametrize("scale", [1, 100])
def test_fid_of_a_set_with_itself_is_zero(name, complete, scale):
    one = features(WANTED[name] * scale, complete)
    assert 0 <= frechet_distance(one, one) < 1e-6


def test_fid_of_normal_distributions_with_commuting_covariances():
    """For diagonal covariances: |m1 - m2|^2 + sum (s1 - s2)^2."""
    one = FeatureSet(9, np.array([1.0, 2.0, 0.0]), np.diag([4.0, 9.0, 0.0]), np.empty((0, 3)))
    other = FeatureSet(9, np.array([0.0, 0.0, 0.0]), np.diag([1.0, 0.0, 16.0]), np.empty((0, 3)))
    found = frechet_distance(one, other)
    assert found == pytest.approx((1 + 4) + (1 + 9 + 16), rel=1e-12)
    assert frechet_distance(other, one) == pytest.approx(found, rel=1e-12)


def test_fid_of_equal_features_without_any_spread():
    flat = features(np.ones((5, 4)))
    assert frechet_distance(flat, features(np.zeros((5, 4)), complete=False)) == pytest.approx(4)
    assert frechet_distance(flat, flat) == 0


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("kid_default_s100", kid(subset_size=100)),
        ("kid_s10_n50_seed5", kid(subsets=10, subset_size=50, seed=5)),
        ("kid_full_n300", kid(subsets=1, subset_size=300)),
    ],
)
def test_kid_equals_the_reference(name, params):
    mean, deviation = kernel_distance(golden("feat1"), golden("feat2"), params)
    assert mean == pytest.approx(WANTED[name][0], rel=1e-6)
    assert deviation == pytest.approx(WANTED[name][1], rel=1e-6, abs=1e-12)


def test_kid_of_two_features_each_is_the_formula_written_out():
    x, y = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 1.0], [1.0, 1.0]])

    def kernel(a, b):
        return (a @ b / 2 + 1) ** 3

    across = sum(kernel(a, b) for a in x for b in y) / 4
    expected = kernel(*x) + kernel(*y) - 2 * across
    mean, deviation = kernel_distance(features(x), features(y), kid(subset_size=2, subsets=3))
    assert mean == pytest.approx(expected, rel=1e-12)
    assert deviation == pytest.approx(0, abs=1e-9)


def test_kid_has_the_kernel_that_params_give():
    x, y = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 1.0], [1.0, 1.0]])

    def distance(**changes):
        params = kid(subset_size=2, subsets=1, **changes)
        return kernel_distance(features(x), features(y), params)[0]

    # Dot products: within x 0, within y 4; across 3, 1, 2, 2. Half of those with gamma null.
    assert distance(degree=1, gamma=1.0, coef0=0.0) == pytest.approx(0 + 4 - 2 * 8 / 4)
    assert distance(degree=2, gamma=2.0, coef0=3.0) == pytest.approx(
        3**2 + 11**2 - 2 * (9**2 + 5**2 + 7**2 + 7**2) / 4
    )
    usual = distance(degree=3, gamma=0.5, coef0=1.0)
    assert distance() == pytest.approx(usual) == pytest.approx(1 + 27 - (2.5**3 + 1.5**3 + 16) / 2)


def test_kid_s_subsets_are_cut_to_the_set():
    few = golden("feat_small1")
    assert subset_size(few, golden("feat2"), kid()) == 50
    assert kernel_distance(few, golden("feat_small2"), kid(subsets=2))[1] == pytest.approx(0)
    with pytest.raises(ValueError, match="at least 2"):
        kernel_distance(features([[1.0], [2.0]], complete=False), few, kid())


def test_precision_and_recall_of_points_on_a_line():
    original = features([[0.0], [1.0], [2.0], [10.0]])  # radii, k = 1: 1, 1, 1, 8
    restored = features([[2.9], [2.95], [50.0], [50.1]])  # radii: 0.05, 0.05, 0.1, 0.1
    # 2.9 and 2.95 lie within 1 of 2; no original lies within 0.1 of any restored.
    assert precision_recall(original, restored, 1) == (0.5, 0.0)
    assert precision_recall(restored, original, 1) == (0.0, 0.5)


def test_precision_and_recall_count_the_kth_neighbour_without_the_point_itself():
    original = features([[0.0], [1.0], [3.0]])  # radii, k = 2: 3, 2, 3
    restored = features([[6.0], [6.1], [-3.1]])
    assert precision_recall(original, restored, 2)[0] == pytest.approx(1 / 3)
    assert precision_recall(original, restored, 1)[0] == 0


def test_precision_and_recall_of_a_set_with_itself_and_with_a_part_of_it():
    full = golden("feat1")
    assert precision_recall(full, full, 3) == (1, 1)
    assert precision_recall(full, features(WANTED["feat1"][:40]), 3)[0] == 1
    assert precision_recall(full, features(WANTED["feat1"] + 100), 3) == (0, 0)


def test_blocks_of_rows_change_nothing(monkeypatch):
    whole = precision_recall(golden("feat1"), golden("feat2"), 3)
    assert 0 < whole[0] < 1 and 0 < whole[1] < 1
    monkeypatch.setattr("superres.metrics.feature_distances._ROWS_AT_ONCE", 7)
    assert precision_recall(golden("feat1"), golden("feat2"), 3) == whole


def test_too_few_neighbours():
    with pytest.raises(ValueError, match="3 neighbours need more features, got 3"):
        precision_recall(features(np.eye(3)), features(np.eye(3)), 3)
