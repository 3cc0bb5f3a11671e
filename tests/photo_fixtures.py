"""Small photographs whose splits are known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from superres.data.config import DataParams, SplitParams


def _textured(seed, height=80, width=112):
    """A picture with detail everywhere: noise that is smooth over a few pixels."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 2 + 1, width // 2 + 1, 3))
    return noise.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)[:height, :width].copy()


@pytest.fixture
def textured():
    """Return a maker of pictures from a number, a height and a width."""
    return _textured


@pytest.fixture
def data_params(tmp_path):
    """Return a maker of `DataParams` for `tmp_path / "photos"` with small tiles."""

    def make(**changes):
        values = {
            "source": str(tmp_path / "photos"),
            "tile_size": 32,
            "stride": 16,
            "reductions": [1.0],
            "min_sharpness": 2.0,
            "max_tiles": 1000,
            "max_bad_fraction": 0.25,
            "max_megapixels": 20.0,
            "pattern": "**",
            "split": SplitParams(val=0.2, test=0.3, salt="0", lists=None),
        }
        return DataParams(**(values | changes))

    return make


@pytest.fixture
def photos(tmp_path):
    """A folder of six textured photographs of different sizes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(6):
        Image.fromarray(_textured(i, 80 + i, 112 - i)).save(folder / f"p{i}.png")
    return folder
