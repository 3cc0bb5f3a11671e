"""Grain: what is added is found, in the plane and the parts where it is."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter, laplace

from superres.metrics.aggregation import summarize
from superres.metrics.grain import color_grain, luma_grain, smooth_roughness

GREY_STEP, BLUE_STEP = np.array([1.0, 1, 1]), np.array([-0.114 / 0.886, -0.114 / 0.886, 1.0])
"""Directions of colour that change luma alone, and blueness without luma."""


def photograph(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(64, 64, 3))
    smooth = gaussian_filter(noise, (1.0, 1.0, 0))
    return np.rint((127 + 30 * smooth / smooth.std()).clip(0, 255)).astype(np.uint8)


def grained(tile: np.ndarray, deviation: float, direction: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(9).normal(scale=deviation, size=(*tile.shape[:2], 1))
    return np.rint((tile + noise * direction).clip(0, 255)).astype(np.uint8)


def test_a_picture_has_the_grain_of_itself() -> None:
    tile = photograph()
    assert color_grain(tile, tile) == luma_grain(tile, tile) == 0
    flat = np.full((64, 64, 3), 90, np.uint8)
    assert smooth_roughness(flat, flat) == 0


def test_grain_of_colour_and_of_luma_are_told_apart() -> None:
    tile = photograph()
    grey, blue = grained(tile, 8, GREY_STEP), grained(tile, 12, BLUE_STEP)
    assert luma_grain(grey, tile) > 1
    assert abs(color_grain(grey, tile)) < 0.3
    assert color_grain(blue, tile) > 1
    assert abs(luma_grain(blue, tile)) < 0.3
    assert luma_grain(gaussian_filter(tile, (1, 1, 0)), tile) < -3


def test_the_ratio_is_that_of_the_laplacians() -> None:
    tile, other = photograph(), grained(photograph(), 8, GREY_STEP)
    planes = [0.299 * t[..., 0] + 0.587 * t[..., 1] + 0.114 * t[..., 2] for t in (other, tile)]
    ours, theirs = (float(np.square(laplace(p)[1:-1, 1:-1]).mean()) for p in planes)
    assert luma_grain(other, tile) == pytest.approx(10 * math.log10(ours / theirs), abs=0.01)


def test_rounding_alone_is_no_grain() -> None:
    """Without the floor, a flat grey tile would divide by zero."""
    flat = np.full((64, 64, 3), 90, np.uint8)
    speck = flat.copy()
    speck[32, 32] = 91
    assert 0 < luma_grain(speck, flat) < 0.1
    assert np.isfinite(color_grain(grained(flat, 9, BLUE_STEP), flat))


def test_roughness_is_measured_where_the_original_is_smooth() -> None:
    tile = photograph()
    tile[:, :32] = 120
    left, right = tile.copy(), tile.copy()
    left[:, :32] = grained(tile[:, :32], 4, GREY_STEP)
    right[:, 32:] = grained(tile[:, 32:], 4, GREY_STEP)
    assert smooth_roughness(left, tile) == pytest.approx(4, abs=0.3)
    assert smooth_roughness(right, tile) == 0


def test_without_smooth_parts_there_is_no_figure_and_a_note_says_so() -> None:
    assert math.isnan(smooth_roughness(photograph(1), photograph()))
    rows = [
        {"id": tile, "contender": name, "smooth_roughness": value}
        for name in ("model", "bicubic")
        for tile, value in (("a", 1.0), ("b", math.nan))
    ]
    nothing: dict[str, dict[str, float | None]] = {"model": {}, "bicubic": {}}
    empty = pd.DataFrame({"contender": [], "swd": []})
    metrics, notes = summarize(pd.DataFrame(rows), empty, nothing)
    assert metrics["model"]["smooth_roughness"] == 1.0
    assert "the original has no smooth part" in notes[0]["text"]
