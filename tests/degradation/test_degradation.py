import io
import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from superres.core.errors import SuperresError
from superres.degradation import chain
from superres.degradation.blur_kernels import (
    anisotropic_kernel,
    gaussian_kernel,
    motion_kernel,
    sinc_kernel,
)
from superres.degradation.chain import Degradation, Step
from superres.degradation.config import CorruptionKind
from superres.degradation.corruptions import CORRUPTIONS, LUMA, TOGETHER, jpeg_quality, quantise
from superres.degradation.degrade import (
    DISTRIBUTIONS,
    SMALLEST,
    corrupt,
    degrade,
    draw_entropies,
    draw_entropy,
)
from superres.degradation.downsampling import area_downsample

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "corruption_small.npz")
IMAGE = GOLDEN["image_uint8"].astype(np.float32) / 255
ENTROPIES = [float(entropy) for entropy in GOLDEN["rand_vals"]]
JPEG_RANGES = {
    "jpeg": (10, 20),
    "jpeg-low": (15, 10),
    "jpeg-medium": (23, 25),
    "jpeg-broad": (15, 60),
    "jpeg-normal": (47, 35),
}
RECIPE = Degradation(2, 1.0, (Step("jpeg", "jpeg-broad"), Step("blur", "gaussian_blur")))
FLAT_PICTURES_CHANGE = {
    *("noise", "noise-5", "gaussian_noise-5", "gaussian_noise", "grey_noise", "poisson_noise"),
    *("color_jitter", "color_shift", "saturation", "color_quantization"),
}
ALWAYS_THE_SAME = {"noise-5", "greyscale"}
IDENTITY_AT_0 = set(CORRUPTIONS) - {"webp", "color_quantization", *JPEG_RANGES, *ALWAYS_THE_SAME}


def corner(image):
    return image[:20, -20:]


def corrupted(kind, entropy, image=IMAGE, blur_scale=1.0, seed=0):
    return CORRUPTIONS[kind](image, entropy, lambda: np.random.default_rng(seed), blur_scale)


@pytest.mark.parametrize("kind", JPEG_RANGES)
def test_jpeg_equals_the_reference(kind):
    name = kind.replace("-", "_")
    qualities = [jpeg_quality(entropy, *JPEG_RANGES[kind]) for entropy in ENTROPIES]
    assert qualities == GOLDEN[f"{name}_quality"].tolist()
    for row in (0, 2, 4):
        reference = Image.open(io.BytesIO(GOLDEN[f"{name}_bytes_r{row}"].tobytes()))
        image, applied = corrupted(kind, ENTROPIES[row])
        assert applied == ENTROPIES[row]
        assert image.dtype == np.float32
        np.testing.assert_array_equal(quantise(image), np.asarray(reference))
    image, _ = corrupted(kind, ENTROPIES[2])
    np.testing.assert_array_equal(quantise(image), GOLDEN[f"{name}_r2"])


@given(st.integers(0, 2**32), st.integers(1, 70), st.integers(1, 70), st.integers(0, 60))
def test_jpeg_gives_the_pixels_of_a_file_that_is_saved_and_opened(seed, height, width, quality):
    small = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((width, height))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=15 + quality, optimize=True)
    pixels = np.asarray(picture, np.float32) / 255
    image, _ = corrupted("jpeg-broad", 1 - quality / 60, pixels)
    np.testing.assert_array_equal(quantise(image), np.asarray(Image.open(file)))


def test_no_generator_is_made_for_what_draws_nothing():
    def never():
        raise AssertionError("made a generator")

    for kind in ("gaussian_blur", "jpeg-broad", "webp", "sinc", "posterization", "greyscale"):
        CORRUPTIONS[kind](IMAGE, 0.5, never, 1.0)
    with pytest.raises(AssertionError):
        CORRUPTIONS["noise"](IMAGE, 0.5, never, 1.0)


@pytest.mark.parametrize("row", range(5))
def test_blur_equals_the_reference(row):
    image, applied = corrupted("gaussian_blur", ENTROPIES[row])
    assert applied == ENTROPIES[row]
    assert image.dtype == np.float32
    expected = GOLDEN[f"gaussian_blur_corner_r{row}"]
    np.testing.assert_allclose(corner(image), expected, rtol=0, atol=5e-7)


def test_the_recipe_chain_equals_the_reference():
    """JPEG, then blur, without rounding to 8 bits in between."""
    entropies = GOLDEN["recipe_entropy"].reshape(2, 2)
    for i in (0, 1):
        image = IMAGE[::-1] if i else IMAGE
        for kind, entropy in zip(("jpeg-broad", "gaussian_blur"), entropies[i], strict=True):
            image, _ = corrupted(kind, float(entropy), image)
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
    assert jpeg_quality(0.05 + 1e-6, 10, 20) == 28  # an entropy just above a step is past it


@pytest.mark.parametrize("kind", sorted(IDENTITY_AT_0))
def test_entropy_zero_is_the_identity_but_of_file_formats(kind):
    image, applied = corrupted(kind, 0.0)
    np.testing.assert_allclose(image, IMAGE, rtol=0, atol=1e-6)
    assert applied == 0.0


def test_blur_scale_multiplies_the_deviation():
    one, _ = corrupted("gaussian_blur", 0.8, blur_scale=0.5)
    other, _ = corrupted("gaussian_blur", 0.4)
    np.testing.assert_array_equal(one, other)


@given(st.floats(0, 24))
def test_kernels_are_odd_normalised_and_symmetric(sigma):
    kernel = gaussian_kernel(sigma)
    assert len(kernel) % 2 == 1
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel[::-1])


@pytest.mark.parametrize("kind", CORRUPTIONS)
@settings(max_examples=15, deadline=None)
@given(entropy=st.floats(0, 1), seed=st.integers(0, 2**32), corner=st.integers(0, 40))
def test_corruptions_are_deterministic_keep_the_range_and_leave_their_input_alone(
    kind, entropy, seed, corner
):
    image = np.ascontiguousarray(IMAGE[corner : corner + 24, corner : corner + 17])
    before = image.copy()
    first, applied = corrupted(kind, entropy, image, seed=seed)
    second, again = corrupted(kind, entropy, image, seed=seed)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(image, before)
    assert applied == again and 0 <= applied <= 1
    assert first.dtype == np.float32 and first.shape == image.shape
    assert first.min() >= -1e-6 and first.max() <= 1 + 1e-6


@pytest.mark.parametrize("kind", CORRUPTIONS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_stronger_corruptions_do_more_harm(kind, seed):
    """With the same draws. Resampling by fractions of a size shifts pixels, too: only its ends are
    compared."""
    harms, entropies = [], []
    for entropy in (0.0, 0.25, 0.5, 0.75, 1.0):
        image, applied = corrupted(kind, entropy, seed=seed)
        harms.append(float(((image - IMAGE) ** 2).mean()))
        entropies.append(applied)
    assert entropies == sorted(entropies)
    if "res" not in kind:
        assert all(more >= 0.98 * less for less, more in itertools.pairwise(harms))
    if kind in ALWAYS_THE_SAME:
        assert harms[0] == harms[-1] > 0
    else:
        assert harms[0] < 0.9 * harms[-1]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5)])
@pytest.mark.parametrize("kind", sorted(set(CORRUPTIONS) - FLAT_PICTURES_CHANGE))
def test_tiny_images(kind, size):
    image, _ = corrupted(kind, 1.0, np.full((*size, 3), 0.5, np.float32))
    np.testing.assert_allclose(image, 0.5, atol=0.08)


@pytest.mark.parametrize(
    ("kind", "levels", "white"),
    [
        ("noise", 6, False),
        ("gaussian_noise-5", 5, False),
        ("gaussian_noise", 25, False),
        ("grey_noise", 25, False),
        ("poisson_noise", 25, True),
    ],
)
def test_noise_has_its_deviation_no_mean_and_grows_as_it_says(kind, levels, white):
    grey = np.full((200, 200, 3), 0.5, np.float32)
    noise = (corrupted(kind, 0.5, grey)[0] - grey) * 255
    expected = 0.5 * levels * (np.sqrt(0.5) if white else 1)
    assert noise.std() == pytest.approx(expected, rel=0.03)
    assert abs(noise.mean()) < 0.2
    assert (np.ptp(noise, axis=2).max() < 1e-3) == (kind == "grey_noise")


def test_resampling_says_what_it_did_to_whole_sizes():
    image = np.ascontiguousarray(IMAGE[:16, :16])
    assert corrupted("lq_resampling2x", 1.0, image)[1] == 1
    assert corrupted("lq_resampling2x", 0.5, image)[1] == pytest.approx(16 / 11 - 1)
    untouched, applied = corrupted("lq_resampling2x", 0.01, image)
    assert applied == 0 and np.array_equal(untouched, image)


def test_quantization_says_how_many_levels_it_left():
    ramp = np.linspace(0, 1, 256, dtype=np.float32).repeat(3).reshape(1, 256, 3)
    image, applied = corrupted("posterization", 1.0, ramp)
    assert len(np.unique(image)) == 8 and applied == 1
    image, applied = corrupted("posterization", 0.53, ramp)
    assert len(np.unique(image)) == round(2 ** (8 - 5 * applied))


def test_colours_change_and_lightness_does_not():
    image, _ = corrupted("desaturation", 1.0)
    assert np.ptp(image, axis=2).max() < 1e-6
    for kind in ("desaturation", "color_saturation"):
        changed = corrupted(kind, 0.4, 0.25 + IMAGE / 2)[0]
        np.testing.assert_allclose(changed @ LUMA, (0.25 + IMAGE / 2) @ LUMA, atol=1e-5)


def test_motion_blurs_along_its_stroke_alone():
    kernel = motion_kernel(4.0, 0.0)
    middle = kernel.shape[0] // 2
    assert kernel[middle].sum() == pytest.approx(1)
    assert (kernel[middle, middle - 2 : middle + 3] > 0).all()
    turned = motion_kernel(4.0, np.pi / 2)
    np.testing.assert_allclose(turned, kernel.T, atol=1e-12)


@given(st.floats(0, 6), st.floats(0.2, 1), st.floats(0, np.pi), st.floats(0.5, 4))
def test_planar_kernels_are_odd_normalised_and_symmetric(size, ratio, angle, shape):
    for kernel in (
        anisotropic_kernel(size, ratio, angle, shape),
        motion_kernel(size, angle),
        sinc_kernel(np.pi / (1 + size)),
    ):
        assert kernel.shape[0] % 2 == 1 == kernel.shape[1] % 2
        assert kernel.sum() == pytest.approx(1)
        np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-12)


def test_an_isotropic_kernel_is_the_gaussian():
    line = gaussian_kernel(1.2)
    plane = anisotropic_kernel(1.2, 1.0, 0.4)
    np.testing.assert_allclose(plane, np.outer(line, line), atol=1e-5)


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


@pytest.mark.parametrize("scale", [1, 2, 8, 20])
def test_tiles_are_downsampled_together_as_alone(scale):
    tiles = np.random.default_rng(0).integers(0, 256, (3, 40, 80, 3), dtype=np.uint8)
    tiles = tiles[:, : 40 // scale * scale]
    tiles[0] = 255
    together = area_downsample(tiles, scale)
    alone = np.stack([area_downsample(tile, scale) for tile in tiles])
    np.testing.assert_array_equal(together, alone)
    blocks = tiles.reshape(3, tiles.shape[1] // scale, scale, 80 // scale, scale, 3)
    np.testing.assert_allclose(together * 255, blocks.mean((2, 4)), rtol=1e-6)
    assert together[0].min() == together[0].max() == 1.0


def test_quantise_rounds_clips_and_keeps_8_bit_levels():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(quantise(levels.astype(np.float32) / 255), levels)
    values = np.array([-0.1, 0.999 / 255, 254.6 / 255, 1.02], np.float32)
    assert quantise(values).tolist() == [0, 1, 255, 255]  # the reference: 0 or a wrap, 0, 254, 4


@given(
    st.integers(0, 2**32),
    st.sampled_from(sorted(DISTRIBUTIONS)),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_draws_stay_in_their_range(seed, distribution, one, other):
    low, high = sorted((one, other))
    assert low <= draw_entropy(np.random.default_rng(seed), distribution, low, high) <= high


def test_draws_survive_the_manifests_text_and_have_the_right_mean():
    rng = np.random.default_rng(0)
    for distribution, mean in (("uniform", 0.5), ("cosine", 1 - 2 / np.pi), ("fixed", 1)):
        draws = [draw_entropy(rng, distribution, 0.0, 1.0) for _ in range(4000)]
        assert np.mean(draws) == pytest.approx(mean, abs=0.02)
        assert [float(f"{draw:.8g}") for draw in draws] == draws


def test_degrade_downsamples_corrupts_in_order_and_rounds_once():
    tile = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    low, applied = degrade(RECIPE, tile, {"blur": 0.5, "jpeg": 0.25}, "x")
    image = area_downsample(tile, 2)
    image, _ = corrupted("jpeg-broad", 0.25, image)
    image, _ = corrupted("gaussian_blur", 0.5, image)
    np.testing.assert_array_equal(low, quantise(image))
    assert low.dtype == np.uint8 and low.shape == (16, 24, 3)
    assert list(applied.items()) == [("jpeg", 0.25), ("blur", 0.5)]
    assert RECIPE.names == ("jpeg", "blur")


def test_degrade_without_corruptions_is_the_area_mean():
    tile = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    low, applied = degrade(Degradation(4, 1.0, ()), tile, {}, "x")
    np.testing.assert_array_equal(low, quantise(area_downsample(tile, 4)))
    assert applied == {}


@pytest.mark.parametrize(
    "entropies",
    [{"jpeg": 0.5}, {"jpeg": 0.5, "blur": 0.5, "noise": 0.5}, {"jpeg": 1.5, "blur": 0.0}],
)
def test_degrade_refuses_other_entropies(entropies):
    with pytest.raises(ValueError, match=r"wanted \['jpeg', 'blur'\]|must be in \[0, 1\], got 1.5"):
        degrade(RECIPE, np.zeros((8, 8, 3), np.uint8), entropies, "x")


def test_degrade_refuses_unknown_corruptions():
    unknown = Degradation(1, 1.0, (Step("a", "rain"),))
    with pytest.raises(SuperresError, match="unknown kind 'rain', known: gauss"):
        degrade(unknown, np.zeros((8, 8, 3), np.uint8), {"a": 0.5}, "x")


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
        (
            {"extra": 1},
            "wanted the keys scale, downsampling, blur_scale, .*; extra: unknown to this",
        ),
        ({"corruptions": [{"name": "a"}]}, "wanted the keys name, kind.*; kind, .* are missing"),
        ({"corruptions": [asdict(Step("a", "jpeg"))] * 2}, "a name is duplicated"),
        ({"corruptions": [asdict(Step("a", "jpeg")) | {"low": 0}]}, "low must be float, got 0"),
    ],
)
def test_json_that_is_no_degradation(change, message):
    with pytest.raises(SuperresError, match=message):
        Degradation.from_json(RECIPE.to_json() | change)
    with pytest.raises(SuperresError, match="wanted the keys"):
        Degradation.from_json([])


def test_keys_that_were_added_later_are_filled_in(monkeypatch):
    monkeypatch.setitem(chain.ADDED, "seed", 7)
    monkeypatch.setitem(chain.ADDED_TO_STEPS, "always", False)
    older = RECIPE.to_json()
    del older["seed"], older["corruptions"][0]["always"]
    read = Degradation.from_json(older)
    assert read.seed == 7
    assert [step.always for step in read.corruptions[:2]] == [False, True]


def test_the_table_is_what_params_allow():
    assert set(CORRUPTIONS) == set(get_args(CorruptionKind))


MIXED = Degradation(
    1,
    1.0,
    (
        Step("blur", "gaussian_blur", low=0.2),
        Step("noise", "gaussian_noise", always=False),
        Step("jpeg", "jpeg-broad", "fixed", 0.0, 0.0, always=False),
        Step("motion", "motion_blur", "cosine", always=False),
    ),
    random=2,
)


def test_random_corruptions_are_as_many_as_asked_and_all_come_up():
    draws = [draw_entropies(MIXED, np.random.default_rng(seed)) for seed in range(60)]
    for entropies in draws:
        assert list(entropies) == ["blur", "noise", "jpeg", "motion"]
        assert entropies["blur"] >= 0.2
        assert sum(entropies[name] > 0 for name in ("noise", "jpeg", "motion")) == 2
    jpeg = {entropies["jpeg"] for entropies in draws}
    assert jpeg == {0.0, SMALLEST}, "drawn with entropy 0, it is told from not drawn"
    assert draws[3] == draw_entropies(MIXED, np.random.default_rng(3))


def test_a_corruption_that_was_not_drawn_is_not_applied():
    tile = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    entropies = {"blur": 0.0, "noise": 0.0, "jpeg": 0.0, "motion": 0.0}
    low, applied = degrade(MIXED, tile, entropies, "x")
    np.testing.assert_array_equal(low, tile)
    assert applied == entropies
    low, _ = degrade(MIXED, tile, entropies | {"jpeg": SMALLEST}, "x")
    assert not np.array_equal(low, tile)


def test_noise_belongs_to_the_item_whatever_the_picture():
    dark, light = (np.full((16, 16, 3), level, np.uint8) for level in (60, 160))
    entropies = {"blur": 0.0, "noise": 0.5, "jpeg": 0.0, "motion": 0.0}
    first, second = (degrade(MIXED, tile, entropies, "x")[0].astype(int) for tile in (dark, light))
    np.testing.assert_allclose(first - 60, second - 160, atol=1)
    assert not np.array_equal(first, degrade(MIXED, dark, entropies, "y")[0])


def test_one_kind_may_be_applied_twice_with_draws_of_its_own():
    twice = Degradation(1, 1.0, (Step("one", "gaussian_noise"), Step("two", "gaussian_noise")))
    tile = np.full((64, 64, 3), 128, np.uint8)
    low, _ = degrade(twice, tile, {"one": 0.5, "two": 0.5}, "x")
    assert low.std() == pytest.approx(0.5 * 25 * np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("kind", [*TOGETHER, "motion_blur", "webp"])
@pytest.mark.parametrize("probability", [1.0, 0.5])
def test_images_are_corrupted_together_as_each_alone(kind, probability):
    degradation = Degradation(
        1, 1.0, (Step("one", kind, probability=probability), Step("two", "gaussian_blur")), seed=3
    )
    tiles = np.random.default_rng(1).integers(0, 256, (7, 12, 9, 3), dtype=np.uint8)
    drawn = [draw_entropies(degradation, np.random.default_rng(number)) for number in range(7)]
    assert {each["one"] > 0 for each in drawn} == ({True} if probability == 1 else {True, False})
    items = [f"item-{number}" for number in range(7)]
    images = area_downsample(tiles, 1)
    before = images.copy()
    blocks = [images[:3], images[3:4], images[4:]]
    lows, applied = corrupt(degradation, blocks, drawn, items)
    np.testing.assert_array_equal(images, before)
    for tile, low, row, entropies, item in zip(tiles, lows, applied, drawn, items, strict=True):
        alone, exactly = degrade(degradation, tile, entropies, item)
        np.testing.assert_array_equal(low, alone)
        assert row.tolist() == list(exactly.values())
