import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from superres.core.images import read_image
from superres.data.duplicates import MAX_DISTANCE, near_groups, perceptual_hash


def _hash(pixels):
    return perceptual_hash(Image.fromarray(pixels))


def _distance(one, other):
    return (_hash(one) ^ _hash(other)).bit_count()


@pytest.fixture
def smooth():
    """A picture with structure at every size."""
    small = np.random.default_rng(3).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC))


def test_recompressed_and_resized_copies_are_near(tmp_path, smooth):
    picture = Image.fromarray(smooth)
    picture.save(tmp_path / "p.jpg", quality=30)
    assert _distance(smooth, read_image(tmp_path / "p.jpg")) <= MAX_DISTANCE
    assert _distance(smooth, np.asarray(picture.resize((160, 120)))) <= MAX_DISTANCE


def test_others_are_far(smooth, textured):
    assert _distance(smooth, smooth[:, ::-1].copy()) > 10
    assert _distance(textured(1), textured(2)) > 10


def test_flat_pictures_are_like_nothing():
    flat = np.full((64, 64, 3), 200, np.uint8)
    assert _hash(flat) is None
    assert len(set(near_groups([None, None, 0]))) == 3


bits = st.integers(0, 2**64 - 1)
flips = st.lists(st.integers(0, 63), max_size=6)


@given(st.lists(bits, max_size=6), st.lists(st.tuples(st.integers(0, 5), flips), max_size=12))
def test_groups_are_the_chains_of_near_pairs(seeds, copies):
    hashes = list(seeds)
    for place, flipped in copies:
        if seeds:
            value = seeds[place % len(seeds)]
            for bit in flipped:
                value ^= 1 << bit
            hashes.append(value)
    groups = near_groups(hashes)
    expected = list(range(len(hashes)))
    for _ in hashes:  # the definition: quadratic, repeated until nothing changes
        for i, one in enumerate(hashes):
            for j, other in enumerate(hashes):
                if (one ^ other).bit_count() <= MAX_DISTANCE:
                    expected[i] = expected[j] = min(expected[i], expected[j])
    for i in range(len(hashes)):
        for j in range(len(hashes)):
            assert (groups[i] == groups[j]) == (expected[i] == expected[j])


def test_fifty_thousand_take_seconds():
    hashes = np.random.default_rng(0).integers(0, 2**63, 50_000).tolist()
    assert len(set(near_groups(hashes))) == 50_000
