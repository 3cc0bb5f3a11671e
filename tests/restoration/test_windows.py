"""Windows cover a picture, and their weights add up to one."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from superres.core.errors import SuperresError
from superres.restoration.windows import OVERLAP, Grid

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


@pytest.mark.parametrize(("size", "scale"), [((200, 518), 2), ((99, 300), 3), ((1, 1000), 1)])
def test_windows_begin_on_input_pixels_and_overlap(size: tuple[int, int], scale: int) -> None:
    grid = Grid(size, 60, scale)
    for axis in (0, 1):
        starts = sorted({window[axis] for window in grid.windows})
        assert starts[0] == 0 and starts[-1] + grid.shape[axis] == size[axis]
        assert not [start for start in starts if start % scale]
        steps = [b - a for a, b in pairwise(starts)]
        assert all(0 < step <= 60 * (1 - OVERLAP) + scale for step in steps)


def test_a_small_picture_is_one_window_of_weight_one() -> None:
    grid = Grid((40, 64), 64, 2)
    assert grid.windows == [(0, 0)] and grid.shape == (40, 64)
    assert torch.equal(grid.weights(grid.windows[0]), torch.ones(40, 64))


def test_a_windows_rim_counts_next_to_nothing_where_another_sees_more() -> None:
    grid = Grid((64, 200), 64, 2)
    inner = grid.weights(grid.windows[1])
    assert inner[:, 0].max() < 0.01 and inner[:, -1].max() < 0.01 and inner[:, 32].min() > 0.99


@pytest.mark.parametrize("window", [0, -2, 3])
def test_a_window_that_is_no_multiple_of_the_scale_is_refused(window: int) -> None:
    with pytest.raises(SuperresError, match=f"multiple of the model's scale 2, got {window}"):
        Grid((64, 64), window, 2)
