import tracemalloc

import numpy as np
import pytest
import torch

from superres.core.distributed import Processes
from superres.metrics import features
from superres.metrics.feature_sets import Moments, feature_set
from superres.metrics.features import WIDTH, describe_pictures, drawn_ids
from superres.metrics.inception import load_inception, prepare
from support import GOLDEN

IDS = ["c", "a", "b"]
ALONE = Processes(0, 1, torch.device("cpu"))


def describe(network, shots, ids=IDS, *more):
    """Describe pictures that lie in memory, in one process."""
    done = []
    found = describe_pictures(network, shots.__getitem__, ids, ALONE, done.append, *more)
    assert sum(done) == len(ids)
    return found


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
    found = describe(network, shots)
    with torch.inference_mode():
        prepared = prepare(torch.from_numpy(shots).permute(0, 3, 1, 2))
        expected = network(prepared)["2048"].numpy()
    assert found.held.dtype == np.float32 and found.complete
    assert found.held == pytest.approx(expected[[1, 2, 0]], abs=1e-4)
    assert np.allclose(found.covariance, np.cov(expected, rowvar=False), atol=1e-2)


def test_batches_and_sizes_of_pictures_do_not_matter(network, monkeypatch):
    mixed = [pictures(1, 32)[0], pictures(1, 50)[0], pictures(1, 40)[0]]
    whole = describe(network, mixed)
    monkeypatch.setattr("superres.metrics.features.BATCH", 2)
    again = describe(network, mixed)
    assert again.held == pytest.approx(whole.held, abs=1e-4)


def test_a_bound_on_what_is_held_keeps_the_moments_of_all(network):
    shots = pictures()
    whole, bounded = (describe(network, shots, IDS, most) for most in (3, 2))
    assert bounded.held.shape == (2, WIDTH) and not bounded.complete
    assert bounded.mean == pytest.approx(whole.mean, rel=1e-12)
    assert np.allclose(bounded.covariance, whole.covariance, rtol=1e-9, atol=1e-12)
    kept = [sorted(IDS).index(name) for name in drawn_ids(IDS, 2)]
    assert np.array_equal(bounded.held, whole.held[kept])


def test_what_is_held_follows_from_names_alone():
    ids = [str(number) for number in range(100)]
    assert drawn_ids(ids, 10) == drawn_ids(ids[::-1], 10) != sorted(ids)[:10]
    assert drawn_ids(ids, 100) == sorted(ids)


def test_ids_must_be_unique_and_pictures_two_at_least(network):
    with pytest.raises(ValueError, match="unique"):
        describe(network, pictures(), ["a", "a", "b"])
    with pytest.raises(ValueError, match="at least 2 pictures, got 1"):
        describe(network, pictures(1), ["a"])


def test_merged_moments_are_those_of_the_whole():
    values = np.random.default_rng(0).normal(size=(300, 16)) + 1000
    merged = Moments(16)
    for block in np.split(values, [100, 100, 290]):
        part = Moments(16)
        part.add(block)
        merged.merge(part)
    assert merged.count == 300
    assert merged.mean == pytest.approx(values.mean(axis=0), rel=1e-13)
    expected = np.cov(values, rowvar=False)
    assert np.abs(merged.covariance() - expected).max() < 1e-10 * np.abs(expected).max()


class Quick(torch.nn.Module):
    """Stands in for the network where only the number of pictures matters."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, prepared, layers):
        return {layers[0]: prepared[:, 0, 0, :1] + torch.arange(WIDTH) % 7}


def test_memory_does_not_grow_with_the_number_of_pictures(monkeypatch):
    """Of two blocks and of eight; what the moments and the features held need is all."""
    monkeypatch.setattr(features, "BLOCK", 8)
    monkeypatch.setattr(features, "prepare", lambda pixels: pixels.float())
    picture = pictures(1, 4)[0]
    peaks = []
    for count in (16, 16, 64):  # the first loads what is loaded once
        tracemalloc.start()
        ids = [str(number) for number in range(count)]
        describe_pictures(Quick(), lambda _: picture, ids, ALONE, lambda _: None, 8)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    moments = WIDTH**2 * 8
    assert peaks[2] < 1.02 * peaks[1]
    assert peaks[2] < 5.5 * moments  # of all, of a block, and what adding one takes
