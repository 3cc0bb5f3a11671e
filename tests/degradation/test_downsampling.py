"""Making tiles smaller: known answers of MATLAB's imresize, and what a tile's border reaches."""

from __future__ import annotations

from fractions import Fraction
from typing import get_args

import numpy as np
import pytest

from superres.core.errors import SuperresError
from superres.degradation.chain import Degradation
from superres.degradation.config import DownsamplingName
from superres.degradation.corruptions import quantise
from superres.degradation.degrade import degrade, downsample
from superres.degradation.downsampling import DOWNSAMPLINGS, REACH
from superres.degradation.imresize import imresize

SCALES = (1, 2, 3, 4, 8)


def row(values: list[int]) -> np.ndarray:
    """Return a picture (H x W x 3) whose rows are all the same."""
    return np.tile(np.array(values, np.uint8)[None, :, None], (48, 1, 3))


def small_row(name: str, values: list[int], scale: int) -> list[int]:
    small = quantise(DOWNSAMPLINGS[name](row(values), scale))
    assert (small == small[:1, :, :1]).all()
    assert (small.swapaxes(0, 1) == quantise(column(name, values, scale))).all()
    return small[0, :, 0].tolist()


def column(name: str, values: list[int], scale: int) -> np.ndarray:
    return DOWNSAMPLINGS[name](np.ascontiguousarray(row(values).swapaxes(0, 1)), scale)


@pytest.mark.parametrize(
    ("scale", "values", "wanted"),
    [
        # Weights of 1/2 are (-3 -9 29 111 111 29 -9 -3) / 256: of a step 29-9-3, then 256-17.
        (2, [0] * 8 + [255] * 8, [0, 0, 0, 17, 238, 255, 255, 255]),
        (2, [100] * 8 + [200] * 8, [100, 100, 99, 107, 193, 201, 200, 200]),
        # Beyond the border the first pixel is repeated: 111 + 29 of 256, then -9 - 3.
        (2, [255] + [0] * 7, [139, 0, 0, 0]),
        (2, [0, 255] + [0] * 6, [102, 29, 0, 0]),
        # A half is rounded up: 128 of 256 of 1, and of 3.
        (2, [0] * 4 + [1] * 4, [0, 0, 1, 1]),
        # Weights of 1/3 are (-1 -2 0 9 21 27 21 9 0 -2 -1) / 81.
        (3, [0] * 9 + [255] * 9, [0, 0, 19, 236, 255, 255]),
        (3, [100] * 9 + [200] * 9, [100, 99, 107, 193, 201, 200]),
        (3, [0, 0, 0, 0, 81] + [0] * 7, [0, 27, 0, 0]),
    ],
)
def test_bicubic_has_the_answers_worked_out_by_hand(
    scale: int, values: list[int], wanted: list[int]
) -> None:
    assert small_row("bicubic", values, scale) == wanted


def test_bicubic_is_what_matlab_itself_answers() -> None:
    """A result of MATLAB's for 8 bits, which the tests of Octave's image package quote.

    Rounding once, at the end, or columns before rows, gives other levels in 5 of the 20 pixels.
    """
    image = np.array(
        [
            [116, 227, 153, 69, 146, 194, 59, 130, 139, 106],
            [2, 47, 137, 249, 90, 75, 16, 24, 158, 44],
            [155, 68, 46, 84, 166, 156, 69, 204, 32, 152],
            [71, 221, 137, 230, 210, 153, 192, 115, 30, 118],
            [107, 143, 108, 52, 51, 73, 101, 21, 175, 90],
            [54, 158, 143, 77, 26, 168, 113, 229, 165, 225],
            [9, 47, 133, 135, 130, 207, 236, 43, 19, 73],
            [129, 60, 59, 243, 64, 181, 249, 56, 32, 86],
        ],
        np.uint8,
    )
    wanted = [
        [105, 140, 126, 81, 109],
        [110, 134, 153, 114, 93],
        [108, 108, 94, 127, 146],
        [67, 126, 162, 149, 62],
    ]
    assert imresize(image[:, :, None], 1, 2, "bicubic")[:, :, 0].tolist() == wanted


def test_bicubic_of_an_impulse_is_keys_kernel_widened() -> None:
    """By fractions: the kernel's values at multiples of 1/8, over 4, times 255."""
    values = [0] * 32
    values[16] = 255

    def keys(x: Fraction) -> Fraction:
        if x <= 1:
            return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
        return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2 if x <= 2 else Fraction(0)

    # Pixel k of the result lies at 4 k + 3/2.
    wanted = []
    for k in range(8):
        distance = abs(Fraction(4 * k) + Fraction(3, 2) - 16)
        exact = 255 * keys(distance / 4) / 4
        wanted.append(max(0, int(exact + Fraction(1, 2))))
    assert wanted == [0, 0, 0, 25, 46, 0, 0, 0]
    assert small_row("bicubic", values, 4) == wanted


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_each_dimension_is_rounded_rows_first(scale: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 72, 3), dtype=np.uint8)
    down, across = (dense_weights(length, scale) for length in image.shape[:2])

    def rounded(x: np.ndarray) -> np.ndarray:
        return np.floor(x.clip(0, 255) + 0.5)

    rows = np.einsum("oh,hwc->owc", down, image.astype(np.float64))
    wanted = rounded(np.einsum("ow,hwc->hoc", across, rounded(rows)))
    small = imresize(image, 1, scale, "bicubic")
    # Sums in another order may fall on the other side of a half.
    assert np.abs(small - wanted).max() <= 1 and (small != wanted).mean() < 0.002
    once = rounded(np.einsum("ow,hwc->hoc", across, rows))
    assert (small != once).mean() > 0.02


def dense_weights(length: int, scale: int) -> np.ndarray:
    """Return a matrix from the definition: every pixel and its mirrored ones, one by one."""
    weights = np.zeros((length // scale, length))
    for k in range(length // scale):
        for place in range(-length, 2 * length):
            x = abs((k + 0.5) * scale - 0.5 - place) / scale
            value = 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else 0.0
            if 1 < x < 2:
                value = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
            inside = -1 - place if place < 0 else min(place, 2 * length - 1 - place)
            weights[k, inside] += value / scale
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-12)
    return weights


def test_bicubic_enlarges_too() -> None:
    """Between two pixels a quarter away: Keys' kernel at 1/4, 3/4, 5/4 and 7/4, in 128ths."""
    values = np.zeros((4, 8, 1))
    values[:, 4] = 128
    large = imresize(values, 2, 1, "bicubic")
    assert large.shape == (8, 16, 1)
    assert large[3, :, 0].tolist() == [0, 0, 0, 0, 0, -3, -9, 29, 111, 111, 29, -9, -3, 0, 0, 0]


def test_lanczos_is_the_windowed_sinc_and_nearest_the_middle() -> None:
    values = [0] * 24
    values[12] = 255
    x = (np.arange(8) * 3 + 1 - 12) / 3
    raw = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
    taps = np.arange(-8, 9) / 3
    total = (np.sinc(taps) * np.sinc(taps / 3)).sum()
    assert (
        small_row("lanczos", values, 3)
        == np.floor((255 * raw / total).clip(0) + 0.5).astype(int).tolist()
    )
    assert small_row("nearest", list(range(12)), 2) == [1, 3, 5, 7, 9, 11]
    assert small_row("nearest", list(range(12)), 3) == [1, 4, 7, 10]
    assert small_row("nearest", list(range(12)), 4) == [2, 6, 10]


@pytest.mark.parametrize("name", DOWNSAMPLINGS)
@pytest.mark.parametrize("scale", SCALES)
def test_flat_stays_flat_and_scale_1_changes_nothing(name: str, scale: int) -> None:
    flat = np.full((48, 48, 3), 201, np.uint8)
    small = DOWNSAMPLINGS[name](flat, scale)
    assert small.dtype == np.float32 and small.shape == (48 // scale, 48 // scale, 3)
    assert (quantise(small) == 201).all()
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(quantise(DOWNSAMPLINGS[name](noise, 1)), noise)


@pytest.mark.parametrize("name", DOWNSAMPLINGS)
@pytest.mark.parametrize("scale", SCALES)
def test_a_tiles_border_reaches_no_further_than_it_says(name: str, scale: int) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (144, 192, 3), dtype=np.uint8)
    top, left, edge = 48, 72, 72
    whole = DOWNSAMPLINGS[name](photo, scale)
    tile = DOWNSAMPLINGS[name](photo[top : top + edge, left : left + edge], scale)
    cut = whole[top // scale : (top + edge) // scale, left // scale : (left + edge) // scale]
    reach = REACH[name] if scale > 1 else 0
    inside = slice(reach, edge // scale - reach)
    np.testing.assert_array_equal(tile[inside, inside], cut[inside, inside])
    if reach:
        assert (tile[reach - 1] != cut[reach - 1]).any()
        assert (tile[-reach] != cut[-reach]).any()


@pytest.mark.parametrize("name", DOWNSAMPLINGS)
def test_tiles_are_made_smaller_together_as_alone(name: str) -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (3, 24, 48, 3), dtype=np.uint8)
    together = DOWNSAMPLINGS[name](tiles, 3)
    np.testing.assert_array_equal(together, np.stack([DOWNSAMPLINGS[name](t, 3) for t in tiles]))
    with pytest.raises(ValueError, match="24 x 48 pixels cannot be divided into blocks of 5"):
        DOWNSAMPLINGS[name](tiles, 5)


def test_the_registry_has_the_names_of_the_params() -> None:
    assert set(DOWNSAMPLINGS) == set(REACH) == set(get_args(DownsamplingName))


def test_degrading_uses_what_the_degradation_says() -> None:
    tile = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    for name, make in DOWNSAMPLINGS.items():
        low, _ = degrade(Degradation(3, 1.0, (), downsampling=name), tile, {}, "x")
        np.testing.assert_array_equal(low, quantise(make(tile, 3)))
    with pytest.raises(SuperresError, match="unknown downsampling 'box', known: area, bicubic"):
        downsample(Degradation(2, 1.0, (), downsampling="box"), tile)


def test_what_is_stored_without_a_downsampling_was_made_with_area() -> None:
    area = Degradation(2, 1.0, ())
    assert "downsampling" not in area.to_json()
    assert Degradation.from_json(area.to_json()).downsampling == "area"
    bicubic = Degradation(2, 1.0, (), downsampling="bicubic")
    assert bicubic.to_json()["downsampling"] == "bicubic"
    assert Degradation.from_json(bicubic.to_json()) == bicubic
