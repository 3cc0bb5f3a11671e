from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from superres.metrics.fidelity import psnr
from superres.selection.scoring import FLAWLESS, appearance


def photograph() -> np.ndarray:
    """Return texture on the right, nothing on the left."""
    noise = np.random.default_rng(0).normal(size=(64, 64, 3))
    tile = 127 + 120 * gaussian_filter(noise, (1.0, 1.0, 0))
    tile[:, :32] = 120
    return np.rint(tile.clip(0, 255)).astype(np.uint8)


def test_the_original_is_flawless() -> None:
    assert appearance(photograph(), photograph()) == FLAWLESS


def test_of_equal_errors_grain_where_it_is_smooth_costs_most() -> None:
    tile = photograph()
    speckle = np.random.default_rng(1).choice([-6, 6], size=(64, 32, 1))
    rough, textured = (tile.astype(int) for _ in range(2))
    rough[:, :32] += speckle
    textured[:, 32:] += speckle
    rough, textured = (each.clip(0, 255).astype(np.uint8) for each in (rough, textured))
    assert psnr(rough, tile) == pytest.approx(psnr(textured, tile), abs=0.3)
    assert appearance(rough, tile) < appearance(textured, tile) - 3


def test_blur_costs_more_than_its_psnr_says() -> None:
    tile = photograph()
    blurred = gaussian_filter(tile, (1.5, 1.5, 0))
    lost = psnr(blurred, tile) - appearance(blurred, tile)
    assert lost > 1
