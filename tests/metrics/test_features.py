import numpy as np
import pytest
import torch

from superres.metrics.feature_sets import Moments, feature_set
from superres.metrics.features import WIDTH, describe_pictures, drawn_ids
from superres.metrics.inception import load_inception, prepare
from support import GOLDEN

IDS = ["c", "a", "b"]


@pytest.fixture(scope="module")
def network(inception_file):
    return load_inception(inception_file)


def pictures(count=3, size=40):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("sizes", [[300], [1] * 300, [7, 293], [0, 150, 150]])
def test_streamed_moments_equal_those_of_the_whole(sizes):
    values = np.load(GOLDEN / "inception_small.npz")["feat1"].astype(np.float64) + 1000
    moments = Moments(64)
    for block in np.split(values, np.cumsum(sizes)[:-1]):
        moments.add(block)
    assert moments.count == 300
    assert moments.mean == pytest.approx(values.mean(axis=0), rel=1e-13)
    expected = np.cov(values, rowvar=False)
    assert np.abs(moments.covariance() - expected).max() < 1e-10 * np.abs(expected).max()


def test_mean_equals_the_reference():
    golden = np.load(GOLDEN / "inception_small.npz")
    assert feature_set(golden["feat1"]).mean == pytest.approx(golden["fid_mu1"], abs=1e-8)


def test_one_vector_has_no_covariance():
    moments = Moments(2)
    moments.add(np.ones((1, 2)))
    with pytest.raises(ValueError, match="at least 2 vectors, got 1"):
        moments.covariance()


def test_described_pictures_have_the_network_s_features_in_the_order_of_ids(network):
    shots = pictures()
    found = describe_pictures(network, shots, IDS)
    with torch.inference_mode():
        prepared = prepare(torch.from_numpy(shots).permute(0, 3, 1, 2))
        expected = network(prepared)["2048"].numpy()
    assert found.held.dtype == np.float32 and found.complete
    assert found.held == pytest.approx(expected[[1, 2, 0]], abs=1e-4)
    assert np.allclose(found.covariance, np.cov(expected, rowvar=False), atol=1e-2)


def test_batches_and_sizes_of_pictures_do_not_matter(network, monkeypatch):
    mixed = [pictures(1, 32)[0], pictures(1, 50)[0], pictures(1, 40)[0]]
    whole = describe_pictures(network, mixed, IDS)
    monkeypatch.setattr("superres.metrics.features.BATCH", 2)
    again = describe_pictures(network, iter(mixed), IDS)
    assert again.held == pytest.approx(whole.held, abs=1e-4)


def test_a_bound_on_what_is_held_keeps_the_moments_of_all(network):
    shots = pictures()
    whole, bounded = (describe_pictures(network, shots, IDS, most) for most in (3, 2))
    assert bounded.held.shape == (2, WIDTH) and not bounded.complete
    assert np.array_equal(bounded.mean, whole.mean)
    kept = [sorted(IDS).index(name) for name in drawn_ids(IDS, 2)]
    assert np.array_equal(bounded.held, whole.held[kept])


def test_what_is_held_follows_from_names_alone():
    ids = [str(number) for number in range(100)]
    assert drawn_ids(ids, 10) == drawn_ids(ids[::-1], 10) != sorted(ids)[:10]
    assert drawn_ids(ids, 100) == sorted(ids)


def test_ids_must_be_unique_and_as_many_as_pictures(network):
    with pytest.raises(ValueError, match="unique"):
        describe_pictures(network, pictures(), ["a", "a", "b"])
    with pytest.raises(ValueError, match="3 pictures for 4 ids"):
        describe_pictures(network, pictures(), ["a", "b", "c", "d"])
    with pytest.raises(ValueError):
        describe_pictures(network, pictures(), ["a", "b"])
