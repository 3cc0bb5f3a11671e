import numpy as np
import pytest
import torch

from superres.core.distributed import Processes
from superres.core.progress import progress_bar
from superres.metrics import feature_files
from superres.metrics.feature_files import (
    describe_cached,
    features_digest,
    load_features,
    save_features,
)
from superres.metrics.feature_sets import FeatureSet, feature_set
from superres.metrics.inception import load_inception
from superres.metrics.weights import Weights, cache_folder

IDS = ["a", "b", "c"]
ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def network(inception_file):
    return load_inception(inception_file)


def pictures(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)


@pytest.fixture
def describe(network, tmp_path, monkeypatch):
    """Describe three pictures through the cache; `calls` counts those that were computed."""
    calls = []
    compute = feature_files.describe_pictures

    def counted(*arguments):
        calls.append(arguments)
        return compute(*arguments)

    monkeypatch.setattr(feature_files, "describe_pictures", counted)

    def run(seed=0, sha256="f" * 64, ids=IDS):
        weights = Weights(tmp_path / "unused.pth", sha256)
        with progress_bar(3, "test", "picture") as bar:
            digest = features_digest(weights, torch.device("cpu"))
            for picture, name in zip(pictures(seed), ids, strict=True):
                digest.add(picture, name)
            key = digest.hexdigest()
            read = pictures(seed).__getitem__
            found = describe_cached(network, key, read, ids, ALONE, bar)
            assert bar.n == 3
        return found

    run.calls = calls
    return run


def same(one, other):
    names = ("count", "mean", "covariance", "held")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_the_same_content_is_computed_once_and_comes_back_to_the_last_bit(describe):
    first = describe()
    assert same(describe(), first)
    assert len(describe.calls) == 1


def test_other_pixels_names_or_weights_are_computed_anew(describe):
    first = describe()
    assert not same(describe(seed=1), first)
    describe(sha256="0" * 64)
    describe(ids=["a", "b", "d"])
    assert len(describe.calls) == 4


def test_a_damaged_entry_is_computed_anew(describe):
    first = describe()
    for file in cache_folder().rglob("*.npy"):
        file.write_bytes(b"damaged")
    assert same(describe(), first)
    assert len(describe.calls) == 2
    assert same(describe(), first)
    assert len(describe.calls) == 2


def test_the_cache_keeps_what_was_used_last(describe, monkeypatch):
    monkeypatch.setattr(feature_files, "CACHE_BYTES", 60_000)  # two entries of 3 x 2048 floats
    for seed in (0, 1):
        describe(seed)
    describe(0)
    describe(2)
    assert len(list((cache_folder() / "features").iterdir())) == 2
    describe(0)
    assert len(describe.calls) == 3
    describe(1)
    assert len(describe.calls) == 4


def test_a_cache_that_cannot_be_written_is_said_and_does_no_harm(describe, capsys):
    cache_folder().parent.mkdir(exist_ok=True)
    cache_folder().write_bytes(b"a file where the folder should be")
    assert describe().count == 3
    assert "features are not cached" in capsys.readouterr().err


def test_moments_are_stored_only_where_they_do_not_follow(tmp_path):
    whole = feature_set(np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32))
    save_features(whole, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["inception-held.npy"]
    assert same(load_features(tmp_path, 9), whole)
    part = FeatureSet(9, whole.mean, whole.covariance, whole.held[:5])
    save_features(part, tmp_path)
    assert same(load_features(tmp_path, 9), part)
