"""Windows cover a picture, and their weights add up to one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from superres.core.errors import SuperresError
from superres.restoration.job import Tiling
from superres.restoration.windows import Grid

SIZES = [(64, 64), (2, 2), (2, 300), (66, 64), (98, 130), (200, 518)]


@pytest.mark.parametrize("size", SIZES)
def test_weights_add_up_to_one_everywhere(size: tuple[int, int]) -> None:
    grid = Grid(size, 64, 2)
    total = torch.zeros(size)
    height, width = grid.shape
    for window in grid.windows:
        weights = grid.weights(window)
        assert weights.shape == grid.shape and weights.min() > 0 and weights.max() <= 1
        total[window.row : window.row + height, window.column : window.column + width] += weights
    torch.testing.assert_close(total, torch.ones(size))


@pytest.mark.parametrize(("size", "scale"), [((200, 518), 2), ((99, 300), 3), ((20, 1000), 1)])
def test_windows_begin_on_input_pixels_and_overlap(size: tuple[int, int], scale: int) -> None:
    grid = Grid(size, 60, scale)
    assert len(grid) > 1
    for axis in (0, 1):
        starts = sorted({window[axis] for window in grid.windows})
        assert starts[0] == 0 and starts[-1] + grid.shape[axis] == size[axis]
        assert not [start for start in starts if start % scale]
        steps = [b - a for a, b in pairwise(starts)]
        assert all(0 < step <= grid.shape[axis] - 15 + 2 * scale for step in steps)


@pytest.mark.parametrize(("scale", "multiple"), [(2, 8), (4, 64), (3, 16), (1, 1), (2, 32)])
def test_windows_are_cheap_and_within_the_bound(scale: int, multiple: int) -> None:
    """At most 1.25 times the pixels of a picture up to 1024 px, 1.5 times beyond."""
    draw = np.random.default_rng(scale)
    usual = Tiling().fitting(scale)
    for longest, dear in ((1024, 1.25), (5000, 1.5)):
        sizes = draw.integers(1, longest // scale + 1, (300, 2)) * scale
        sizes[0] = longest // scale * scale
        if longest > 1024:
            sizes = sizes.clip(256 * scale, None)
        for height, width in sizes.tolist():
            grid = Grid((height, width), usual.window, scale, multiple)
            pixels = grid.shape[0] * grid.shape[1]
            assert len(grid) * pixels <= dear * height * width, (height, width)
            at_once = grid.at_once(usual.batch * usual.window**2)
            assert at_once * pixels <= 512**2 and (at_once == 1 or len(grid) > 1 or pixels < 2**17)


def test_a_picture_within_the_bound_is_one_window_whatever_its_shape() -> None:
    for size in [(320, 480), (480, 320), (512, 512), (2048, 128), (8, 32_000)]:
        assert len(Grid(size, 512, 2, 8)) == 1, size


def test_a_scale_that_does_not_divide_the_usual_window() -> None:
    assert Tiling().fitting(3).window == 510 and Tiling().fitting(2).window == 512
    assert Grid((900, 900), Tiling().fitting(3).window, 3, 16).shape == (483, 483)


def test_a_small_picture_is_one_window_of_weight_one() -> None:
    grid = Grid((40, 64), 64, 2)
    assert grid.windows == [(0, 0)] and grid.shape == (40, 64)
    assert torch.equal(grid.weights(grid.windows[0]), torch.ones(40, 64))


def test_a_windows_rim_counts_next_to_nothing_where_another_sees_more() -> None:
    grid = Grid((64, 200), 64, 2)
    assert len({window.column for window in grid.windows}) > 2
    inner = grid.weights(grid.windows[1])
    middle = grid.shape[1] // 2
    assert inner[:, 0].max() < 0.02 and inner[:, -1].max() < 0.02 and inner[:, middle].min() > 0.99


@pytest.mark.parametrize("window", [0, -2, 3])
def test_a_window_that_is_no_multiple_of_the_scale_is_refused(window: int) -> None:
    with pytest.raises(SuperresError, match=f"multiple of the model's scale 2, got {window}"):
        Grid((64, 64), window, 2)
