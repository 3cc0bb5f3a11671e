import io
import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from superres.data.chain import Degradation
from superres.data.degradation import (
    CORRUPTIONS,
    DISTRIBUTIONS,
    area_downsample,
    degrade,
    draw_entropy,
    gaussian_kernel,
    jpeg_quality,
    quantise,
)
from superres.errors import SuperresError
from superres.params.degrade import CorruptionKind

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "corruption_small.npz")
IMAGE = GOLDEN["image_uint8"].astype(np.float32) / 255
STRENGTHS = [float(strength) for strength in GOLDEN["rand_vals"]]
JPEG_RANGES = {
    "jpeg": (10, 20),
    "jpeg-low": (15, 10),
    "jpeg-medium": (23, 25),
    "jpeg-broad": (15, 60),
    "jpeg-normal": (47, 35),
}
RECIPE = Degradation(2, 1.0, (("jpeg", "jpeg-broad"), ("blur", "gaussian_blur")))


def corner(image):
    return image[:20, -20:]


@pytest.mark.parametrize("kind", JPEG_RANGES)
def test_jpeg_equals_the_reference(kind):
    name = kind.replace("-", "_")
    qualities = [jpeg_quality(strength, *JPEG_RANGES[kind]) for strength in STRENGTHS]
    assert qualities == GOLDEN[f"{name}_quality"].tolist()
    for row in (0, 2, 4):
        reference = Image.open(io.BytesIO(GOLDEN[f"{name}_bytes_r{row}"].tobytes()))
        image, applied = CORRUPTIONS[kind](IMAGE, STRENGTHS[row], 1.0)
        assert applied == STRENGTHS[row]
        assert image.dtype == np.float32
        np.testing.assert_array_equal(quantise(image), np.asarray(reference))
    image, _ = CORRUPTIONS[kind](IMAGE, STRENGTHS[2], 1.0)
    np.testing.assert_array_equal(quantise(image), GOLDEN[f"{name}_r2"])


@pytest.mark.parametrize("row", range(5))
def test_blur_equals_the_reference(row):
    image, applied = CORRUPTIONS["gaussian_blur"](IMAGE, STRENGTHS[row], 1.0)
    assert applied == STRENGTHS[row]
    assert image.dtype == np.float32
    expected = GOLDEN[f"gaussian_blur_corner_r{row}"]
    np.testing.assert_allclose(corner(image), expected, rtol=0, atol=5e-7)


def test_the_recipe_chain_equals_the_reference():
    """JPEG, then blur, without rounding to 8 bits in between."""
    strengths = GOLDEN["recipe_entropy"].reshape(2, 2)
    for i in (0, 1):
        image = IMAGE[::-1] if i else IMAGE
        for kind, strength in zip(("jpeg-broad", "gaussian_blur"), strengths[i], strict=True):
            image, _ = CORRUPTIONS[kind](image, float(strength), 1.0)
        expected = GOLDEN[f"recipe_corner_{i}"]
        np.testing.assert_allclose(corner(image), expected, rtol=0, atol=5e-7)


def test_draws_equal_the_reference():
    uniform = GOLDEN["get_rand_uniform_first100"]
    cosine = [DISTRIBUTIONS["cosine"](float(u)) for u in uniform]
    np.testing.assert_allclose(cosine, GOLDEN["get_rand_cosine_first100"], rtol=1e-12)
    assert [DISTRIBUTIONS["uniform"](float(u)) for u in uniform] == uniform.tolist()


def test_jpeg_quality_is_that_of_exact_numbers():
    assert int((1 - 0.8) * 20) == 3  # what the reference computes
    assert jpeg_quality(0.8, 10, 20) == 14
    assert [jpeg_quality(r / 20, 10, 20) for r in range(21)] == list(range(30, 9, -1))
    assert jpeg_quality(0.0, 15, 60) == 75
    assert jpeg_quality(0.05 + 1e-6, 10, 20) == 28  # a strength just above a step is past it


def test_strength_zero_of_blur_is_the_identity():
    image, applied = CORRUPTIONS["gaussian_blur"](IMAGE, 0.0, 1.0)
    np.testing.assert_array_equal(image, IMAGE)
    assert applied == 0.0


def test_blur_scale_multiplies_the_deviation():
    one, _ = CORRUPTIONS["gaussian_blur"](IMAGE, 0.8, 0.5)
    other, _ = CORRUPTIONS["gaussian_blur"](IMAGE, 0.4, 1.0)
    np.testing.assert_array_equal(one, other)


@given(st.floats(0, 24))
def test_kernels_are_odd_normalised_and_symmetric(sigma):
    kernel = gaussian_kernel(sigma)
    assert len(kernel) % 2 == 1
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel[::-1])


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruptions_are_deterministic_and_leave_their_input_alone(kind):
    before = IMAGE.copy()
    first, _ = CORRUPTIONS[kind](IMAGE, 0.7, 1.0)
    second, _ = CORRUPTIONS[kind](IMAGE, 0.7, 1.0)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(IMAGE, before)
    assert first.shape == IMAGE.shape and first.min() >= 0 and first.max() <= 1


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_stronger_corruptions_do_more_harm(kind):
    harms = []
    for strength in (0.0, 0.3, 0.6, 1.0):
        image, _ = CORRUPTIONS[kind](IMAGE, strength, 1.0)
        harms.append(float(((image - IMAGE) ** 2).mean()))
    assert harms == sorted(harms) and harms[0] < 0.9 * harms[-1]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5)])
@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_tiny_images(kind, size):
    image, _ = CORRUPTIONS[kind](np.full((*size, 3), 0.5, np.float32), 1.0, 1.0)
    np.testing.assert_allclose(image, 0.5, atol=0.02)


def test_area_downsample_is_the_mean_of_blocks():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    small = area_downsample(image, 2)
    assert small.dtype == np.float32 and small.shape == (2, 3, 3)
    assert small[1, 2, 1] == pytest.approx(image[2:4, 4:6, 1].mean() / 255)
    np.testing.assert_allclose(area_downsample(image, 1) * 255, image, rtol=1e-6)
    white = np.full((8, 8, 3), 255, np.uint8)
    assert area_downsample(white, 8).max() == 1.0
    with pytest.raises(ValueError, match="4 x 6 pixels"):
        area_downsample(image, 4)


def test_quantise_rounds_clips_and_keeps_8_bit_levels():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(quantise(levels.astype(np.float32) / 255), levels)
    values = np.array([-0.1, 0.999 / 255, 254.6 / 255, 1.02], np.float32)
    assert quantise(values).tolist() == [0, 1, 255, 255]  # the reference: 0 or a wrap, 0, 254, 4


@given(
    st.integers(0, 2**32),
    st.sampled_from(["uniform", "cosine"]),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_draws_stay_in_their_range(seed, distribution, one, other):
    low, high = sorted((one, other))
    assert low <= draw_entropy(np.random.default_rng(seed), distribution, low, high) <= high


def test_draws_survive_the_manifests_text_and_have_the_right_mean():
    rng = np.random.default_rng(0)
    for distribution, mean in (("uniform", 0.5), ("cosine", 1 - 2 / np.pi)):
        draws = [draw_entropy(rng, distribution, 0.0, 1.0) for _ in range(4000)]
        assert np.mean(draws) == pytest.approx(mean, abs=0.02)
        assert [float(f"{draw:.8g}") for draw in draws] == draws


def test_degrade_downsamples_corrupts_in_order_and_rounds_once():
    tile = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    low, applied = degrade(RECIPE, tile, {"blur": 0.5, "jpeg": 0.25})
    image = area_downsample(tile, 2)
    image, _ = CORRUPTIONS["jpeg-broad"](image, 0.25, 1.0)
    image, _ = CORRUPTIONS["gaussian_blur"](image, 0.5, 1.0)
    np.testing.assert_array_equal(low, quantise(image))
    assert low.dtype == np.uint8 and low.shape == (16, 24, 3)
    assert list(applied.items()) == [("jpeg", 0.25), ("blur", 0.5)]
    assert RECIPE.names == ("jpeg", "blur")


def test_degrade_without_corruptions_is_the_area_mean():
    tile = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    low, applied = degrade(Degradation(4, 1.0, ()), tile, {})
    np.testing.assert_array_equal(low, quantise(area_downsample(tile, 4)))
    assert applied == {}


@pytest.mark.parametrize(
    "strengths",
    [{"jpeg": 0.5}, {"jpeg": 0.5, "blur": 0.5, "noise": 0.5}, {"jpeg": 1.5, "blur": 0.0}],
)
def test_degrade_refuses_other_strengths(strengths):
    with pytest.raises(ValueError, match=r"wanted \['jpeg', 'blur'\]|must be in \[0, 1\], got 1.5"):
        degrade(RECIPE, np.zeros((8, 8, 3), np.uint8), strengths)


def test_degrade_refuses_unknown_corruptions():
    chain = Degradation(1, 1.0, (("a", "rain"),))
    with pytest.raises(SuperresError, match="unknown kind 'rain', known: gauss"):
        degrade(chain, np.zeros((8, 8, 3), np.uint8), {"a": 0.5})


def test_json_round_trip():
    assert Degradation.from_json(json.loads(json.dumps(RECIPE.to_json()))) == RECIPE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 2.0}, "scale must be int, got 2.0"),
        ({"scale": True}, "scale must be int, got True"),
        ({"scale": 0}, "must be above 0"),
        ({"blur_scale": 0.0}, "must be above 0"),
        ({"blur_scale": "1"}, "blur_scale must be float"),
        ({"extra": 1}, "wanted the keys scale, blur_scale, corruptions"),
        ({"corruptions": [{"name": "a"}]}, "wanted the keys name, kind"),
        ({"corruptions": [{"name": "a", "kind": "jpeg"}] * 2}, "a name stands twice"),
    ],
)
def test_json_that_is_no_degradation(change, message):
    with pytest.raises(SuperresError, match=message):
        Degradation.from_json(RECIPE.to_json() | change)
    with pytest.raises(SuperresError, match="wanted the keys"):
        Degradation.from_json([])


def test_the_table_is_what_params_allow():
    assert set(CORRUPTIONS) == set(get_args(CorruptionKind))
