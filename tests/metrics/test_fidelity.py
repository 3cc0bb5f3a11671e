import math

import numpy as np
import pytest

from superres.core.color import studio_luma
from superres.core.errors import SuperresError
from superres.metrics.baselines import BASELINES, upsample
from superres.metrics.fidelity import (
    color_shift,
    crop,
    psnr,
    psnr_y,
    ssim,
    ssim_y,
)
from superres.metrics.pairwise import measure_tile


def noise(seed, size=24, low=20, high=230):
    shape = (size, size, 3)
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.uint8)


def test_psnr_of_a_known_error():
    original = np.full((16, 16, 3), 100, np.uint8)
    assert psnr(original + np.uint8(5), original) == pytest.approx(20 * math.log10(255 / 5))


def test_psnr_of_bytes_does_not_wrap_around():
    black, white = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)
    assert psnr(black, white) == pytest.approx(0)


def test_equal_images_are_infinitely_close():
    tile = noise(0)
    assert psnr(tile, tile) == psnr_y(tile, tile) == math.inf
    assert ssim(tile, tile) == pytest.approx(1)


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 16 + 65.481),
        ((0, 255, 0), 16 + 128.553),
        ((0, 0, 255), 16 + 24.966),
    ],
)
def test_luma_is_bt601_in_studio_range(color, expected):
    tile = np.full((16, 16, 3), color, np.uint8)
    assert studio_luma(tile) == pytest.approx(np.full((16, 16), expected), abs=2e-3)


def coloured(level):
    """Return a flat tile that differs from grey by a level of blue."""
    tile = np.full((16, 16, 3), level, np.uint8)
    tile[..., 2] += 1
    return tile


def test_psnr_y_of_a_known_error():
    error = 5 * 219 / 255  # five levels of grey, in the narrower range of luma
    expected = 20 * math.log10(255 / error)
    assert psnr_y(coloured(105), coloured(100)) == pytest.approx(expected, abs=1e-6)


def test_grey_is_its_own_luma():
    """Papers convert colour alone: a grey original's error is not squeezed into 16 to 235."""
    grey = noise(3)
    grey[...] = grey[..., :1]
    restored = grey + np.uint8(5)
    assert psnr_y(restored, grey) == pytest.approx(20 * math.log10(255 / 5))
    assert psnr_y(restored, grey) == pytest.approx(psnr(restored, grey))
    assert ssim_y(restored, grey) == pytest.approx(ssim(restored, grey))
    assert psnr_y(grey, grey) == math.inf
    restored[..., 0] += 10  # a tint adds its share of luma, in the same range
    assert psnr_y(restored, grey) == pytest.approx(20 * math.log10(255 / (5 + 0.299 * 10)))


def test_luma_as_matlab_has_it():
    """Rounded to 8 bits: by the formula of rgb2ycbcr, whose result for uint8 is uint8."""
    original, restored = noise(4), noise(5)
    luma = [
        np.floor(16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255 + 0.5)
        for r, g, b in (np.moveaxis(one.astype(float), 2, 0) for one in (restored, original))
    ]
    error = ((luma[0] - luma[1]) ** 2).mean()
    exact, rounded = psnr_y(restored, original), psnr_y(restored, original, rounded=True)
    assert rounded == pytest.approx(10 * math.log10(255**2 / error), abs=1e-9)
    assert 0 < abs(rounded - exact) < 0.05
    assert psnr_y(coloured(101), coloured(100), rounded=True) == 10 * math.log10(255**2)
    assert ssim_y(restored, original, rounded=True) != ssim_y(restored, original)


def test_ssim_of_flat_images_is_its_luminance_term():
    one, other = np.full((16, 16, 3), 100, np.uint8), np.full((16, 16, 3), 120, np.uint8)
    stabiliser = (0.01 * 255) ** 2
    expected = (2 * 100 * 120 + stabiliser) / (100**2 + 120**2 + stabiliser)
    assert ssim(one, other) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_luma_of_flat_images_is_its_luminance_term():
    one, other = coloured(100), coloured(120)
    stabiliser = (0.01 * 255) ** 2  # the range stays 255 though luma spans 219
    first, second = (16 + (level * 219 + 24.966) / 255 for level in (100, 120))
    expected = (2 * first * second + stabiliser) / (first**2 + second**2 + stabiliser)
    assert ssim_y(one, other) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_luma_does_not_see_a_change_of_hue_alone():
    """A step of colour that leaves luma as it was: 65.481 R = 24.966 B, nearly 8 : 21."""
    original = noise(8, low=60, high=200)
    restored = original.astype(int) + np.array([8, 0, -21])
    restored = restored.astype(np.uint8)
    assert ssim_y(restored, original) > 0.9999 > ssim(restored, original)


def test_ssim_equals_the_formula_written_out():
    """Wang et al. 2004, equation 13, at the one window position of an 11 x 11 tile."""
    one, other = noise(1, 11).astype(float), noise(2, 11).astype(float)
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(window, window)
    window = (window / window.sum())[..., None]
    mean_one, mean_other = (window * one).sum((0, 1)), (window * other).sum((0, 1))
    var_one = (window * one**2).sum((0, 1)) - mean_one**2
    var_other = (window * other**2).sum((0, 1)) - mean_other**2
    covariance = (window * one * other).sum((0, 1)) - mean_one * mean_other
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = ((2 * mean_one * mean_other + c1) * (2 * covariance + c2)) / (
        (mean_one**2 + mean_other**2 + c1) * (var_one + var_other + c2)
    )
    got = ssim(one.astype(np.uint8), other.astype(np.uint8))
    assert got == pytest.approx(expected.mean(), abs=1e-6)


def test_color_shift_is_signed_and_by_channel():
    original = np.full((16, 16, 3), 100, np.uint8)
    restored = original.copy()
    restored[..., 0] += 6
    restored[..., 2] -= 3
    assert color_shift(restored, original).tolist() == [6, 0, -3]


def test_measure_tile_gathers_every_figure():
    original = noise(3)
    restored = original.copy()
    restored[0] = 0  # within the border that is left out
    low = original[::2, ::2]
    got = measure_tile(restored, original, low, lambda tile: tile[::2, ::2], border_crop=1)
    assert got["psnr"] == math.inf
    assert got["lr_psnr"] == psnr(restored[::2, ::2], low) < math.inf
    assert got["color_shift"] < 0
    shifts = [got[f"color_shift_{channel}"] for channel in "rgb"]
    assert got["color_shift"] == pytest.approx(np.mean(shifts))


def test_lr_psnr_degrades_the_restored_tile():
    original, restored = noise(4), noise(5)
    got = measure_tile(restored, original, restored[::2, ::2], lambda tile: tile[::2, ::2])
    assert got["lr_psnr"] == math.inf


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shapes differ"):
        psnr(noise(0, 16), noise(0, 24))


def test_border_crop_that_leaves_too_little():
    with pytest.raises(SuperresError, match=r"evaluate\.border_crop"):
        crop(noise(0, 16), 8)
    tile = noise(0, 16)
    with pytest.raises(SuperresError, match="at least 11 x 11"):
        measure_tile(tile, tile, tile, lambda t: t, border_crop=3)


@pytest.mark.parametrize("method", BASELINES)
def test_baselines_keep_flat_colour_and_give_the_size(method):
    low = np.full((8, 12, 3), (10, 20, 30), np.uint8)
    high = upsample(low, (16, 24), method)
    assert high.shape == (16, 24, 3)
    assert (high == (10, 20, 30)).all()


def test_baselines_differ():
    low = noise(6, 8)
    results = [upsample(low, (16, 16), method).tobytes() for method in BASELINES]
    assert len(set(results)) == 3


@pytest.mark.parametrize("method", BASELINES)
def test_baselines_of_scale_one_change_nothing(method):
    tile = noise(7)
    assert np.array_equal(upsample(tile, (24, 24), method), tile)
