"""The engine: every picture is read once, whatever is measured."""

import os
from collections import Counter

import numpy as np
import pytest

from superres.core.device import pick_device
from superres.core.distributed import Processes
from superres.core.progress import progress_bar
from superres.evaluation.measure import Instruments, PictureSet, measure_contender
from superres.metrics.catalog import FeatureSettings
from superres.metrics.config import KidParams, SwdParams
from superres.metrics.inception import load_inception
from superres.metrics.lpips import load_lpips
from superres.metrics.pairwise import compare
from superres.metrics.perceptual import distances
from superres.metrics.swd import descriptors, sliced_distances
from superres.metrics.weights import ALEXNET, LINEAR, Weights

COUNT = 5
ALONE = Processes(0, 1, pick_device())
IDS = [f"t{number}" for number in range(COUNT)]
HOW = FeatureSettings(KidParams(subsets=3, subset_size=4, seed=0), neighbours=3)
SWD = SwdParams(patches_per_tile=8, max_patches=100, projections=16, seed=0)
ORIGINALS = np.random.default_rng(0).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
RESTORED = np.random.default_rng(1).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)


class Counted:
    """Reads pictures and counts how often."""

    def __init__(self, pictures):
        self.pictures, self.reads = pictures, Counter()

    def __call__(self, number):
        self.reads[number] += 1
        return self.pictures[number]


def measured(instruments):
    restored, original = Counted(RESTORED), Counted(ORIGINALS)
    with progress_bar(instruments.passes * COUNT, "test", "picture") as bar:
        found = measure_contender(restored, PictureSet(IDS, original), instruments, ALONE, bar)
        assert bar.n == instruments.passes * COUNT
    return found, restored.reads, original.reads


def once():
    return Counter(dict.fromkeys(range(COUNT), 1))


def test_pictures_are_read_once_for_all_that_needs_no_features(lpips_given):
    network = load_lpips(lpips_given / ALEXNET, lpips_given / LINEAR)
    found, restored, original = measured(Instruments(2, HOW, SWD, networks={"lpips": network}))
    assert restored == original == once()
    for number, row in enumerate(found.rows):
        lpips = row.pop("lpips")
        assert row == compare(RESTORED[number], ORIGINALS[number], 2)
        pair = [(RESTORED[number], ORIGINALS[number])]
        assert lpips == pytest.approx(distances(network, pair)[0], abs=1e-6)
    sets = (descriptors(pictures, IDS, SWD) for pictures in (ORIGINALS, RESTORED))
    assert found.swd == sliced_distances(*sets, SWD)
    assert set(found.sets.values()) == {None}


def test_they_are_read_again_only_where_features_are_not_cached(inception_file):
    network = load_inception(inception_file).to(pick_device())
    instruments = Instruments(0, HOW, None, inception=(network, Weights(inception_file, "f" * 64)))
    first, restored, original = measured(instruments)
    assert restored == original == Counter(dict.fromkeys(range(COUNT), 2))
    again, restored, original = measured(instruments)
    assert restored == original == once()
    assert again.sets == first.sets and first.sets["fid"] > 0 and first.swd == []


def test_originals_described_before_are_compared_with(monkeypatch):
    reference = descriptors(RESTORED, IDS, SWD)  # as if the restored were the originals
    found, _, _ = measured(Instruments(0, HOW, SWD, reference))
    assert found.swd == [0, 0]
    monkeypatch.setitem(os.environ, "SUPERRES_WORKERS", "1")
    assert measured(Instruments(0, HOW, SWD, reference))[0].rows == found.rows
