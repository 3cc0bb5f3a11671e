import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superres.core.color import full_luma
from superres.data import tile_grid as grid
from superres.data.tile_grid import cut, laplacian, positions, sharpness

edges = st.integers(16, 48)


@given(edges, st.integers(0, 150), st.integers(1, 64), st.booleans())
def test_no_tile_crosses_the_border_and_counts_are_as_computed(tile, extra, stride, flush):
    starts = positions(tile + extra, tile, stride, flush)
    assert starts[0] == 0 and starts == sorted(set(starts))
    assert starts[-1] + tile <= tile + extra
    assert len(starts) == extra // stride + 1 + (flush and extra % stride > 0)


@given(edges, st.integers(0, 150), st.data())
def test_a_flush_grid_covers_every_pixel(tile, extra, data):
    stride = data.draw(st.integers(1, tile))
    covered = np.zeros(tile + extra, bool)
    for start in positions(tile + extra, tile, stride, flush=True):
        covered[start : start + tile] = True
    assert covered.all()


@given(edges, st.integers(0, 150))
def test_held_out_tiles_never_overlap(tile, extra):
    starts = positions(tile + extra, tile, tile, flush=False)
    assert np.diff(starts).tolist() == [tile] * (len(starts) - 1)


def test_cut_gives_each_tile_its_own_sharpness():
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    tiles = cut(image, 16, 12, flush=True)
    assert [(tile.x, tile.y) for tile in tiles[:6]] == [(x, 0) for x in (0, 12, 24, 36, 48, 54)]
    assert len(tiles) == 6 * 4
    for x, y, value in tiles:
        assert value == pytest.approx(sharpness(image[y : y + 16, x : x + 16]), rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(16, 40), st.integers(6, 60), st.booleans())
def test_overlapping_and_flat_tiles_have_the_sharpness_they_have_alone(seed, tile, stride, flush):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (tile + 50, tile + 30, 3), dtype=np.uint8)
    image[: tile + 20, : tile + 10] = rng.integers(0, 256, 3)
    for x, y, value in cut(image, tile, stride, flush):
        alone = sharpness(image[y : y + tile, x : x + tile])
        assert value == pytest.approx(alone, rel=1e-11, abs=0)


def test_each_line_of_a_photograph_is_worked_on_once(monkeypatch):
    lines = []
    count = grid.full_luma

    def counted(strip):
        lines.append(len(strip) - 2)
        return count(strip)

    monkeypatch.setattr(grid, "full_luma", counted)
    image = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    cut(image, 16, 4, flush=True)
    assert sum(lines) == 64 - 2


def test_sharpness_by_hand():
    assert sharpness(np.full((16, 16, 3), 77, np.uint8)) == pytest.approx(0, abs=1e-4)
    ramp = np.arange(16, dtype=np.uint8)[:, None, None] * np.ones((16, 16, 3), np.uint8)
    assert sharpness(ramp) == pytest.approx(0, abs=1e-4)  # no second derivative
    checks = (np.indices((16, 16)).sum(0) % 2 * 100).astype(np.uint8)
    # 4 * 100 where it is black, -4 * 100 where it is white, as many of each
    assert sharpness(np.dstack([checks] * 3)) == pytest.approx(400, rel=1e-5)


def test_luma_is_bt601():
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    np.testing.assert_allclose(full_luma(primaries)[0], [76.245, 149.685, 29.07, 255], rtol=1e-6)


def test_laplacian_of_a_point():
    grey = np.zeros((5, 5), np.float32)
    grey[2, 2] = 1
    np.testing.assert_array_equal(laplacian(grey), [[0, 1, 0], [1, -4, 1], [0, 1, 0]])


sizes = st.integers(16, 90)


@given(sizes, sizes, st.integers(16, 40), st.integers(1, 60), st.booleans())
def test_tiles_lie_within_and_cover_as_they_should(height, width, tile, stride, flush):
    height, width = max(height, tile), max(width, tile)
    tiles = cut(np.zeros((height, width, 3), np.uint8), tile, stride, flush)
    seen = np.zeros((height, width), int)
    for x, y, _ in tiles:
        assert 0 <= x <= width - tile and 0 <= y <= height - tile
        seen[y : y + tile, x : x + tile] += 1
    along = [
        (edge - tile) // stride + 1 + (flush and (edge - tile) % stride > 0)
        for edge in (height, width)
    ]
    assert len(tiles) == len({(t.x, t.y) for t in tiles}) == along[0] * along[1]
    if flush and stride <= tile:
        assert seen.min() >= 1
    if not flush and stride >= tile:
        assert seen.max() == 1
