"""The strength grid, the uncertainty map, and how grids are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superres.core.picture_grid import CELL_PX, GAP_PX, LINE_PX, MARGIN_PX, draw_grid
from superres.core.tensors import to_pictures
from superres.explore import entropy_grid as pictures
from superres.explore.entropy_grid import deviation, entropy_grid, restore_as_if, uncertainty
from superres.sampling.batch import Batch, Sampling
from tiny_trial import build, ignore, pixels, trial


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("run"))


def test_cells_are_what_each_pair_of_strengths_gives_alone(run: Path) -> None:
    tried = trial(run, entropies=[0.0, 0.3, 1.0])
    cells = restore_as_if(tried, ignore)
    pairs = [(blur, jpeg) for blur in (0.0, 0.3, 1.0) for jpeg in (0.0, 0.3, 1.0)]
    name = tried.ids([tried.shown])
    for cell, pair in zip(cells, pairs, strict=True):
        batch = Batch(tried.model, tried.test.low([tried.shown]), np.array([pair]), name, 0)
        alone = to_pictures(batch.sample(Sampling("ddpm", 2)))[0]
        assert np.abs(cell.astype(int) - alone).max() <= 1
    others = [np.abs(cells[4].astype(int) - cell).max() for cell in np.delete(cells, 4, axis=0)]
    assert min(others) > 5


@pytest.mark.parametrize("planes", [0, 1, 3])
def test_other_numbers_of_entropies(
    run: Path, planes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = trial(run, entropies=[0.0, 1.0])
    applied = np.array([[0.3, 0.1, 0.2][:planes]], np.float32)
    tried.test.entropy_names = ("one", "two", "three")[:planes]
    # Other tiles had other strengths.
    of = {tried.shown: applied}
    monkeypatch.setattr(
        tried.test,
        "entropies",
        lambda items: np.concatenate([of.get(i, 0 * applied) for i in items]),
    )
    told: list[np.ndarray] = []

    def restore(low: np.ndarray, entropies: np.ndarray, *_: object) -> np.ndarray:
        told.append(entropies)
        return np.zeros((len(low), 8, 8, 3), np.uint8)

    monkeypatch.setattr(tried, "restore", restore)
    picture, _ = entropy_grid(tried, ignore)
    wanted = {0: [[]], 1: [[0], [1]], 3: [[0, 0.1, 0], [0, 0.1, 1], [1, 0.1, 0], [1, 0.1, 1]]}
    np.testing.assert_allclose(told[0], np.array(wanted[planes], np.float32))
    across = 2 if planes > 1 else 1
    margin = MARGIN_PX if planes else GAP_PX
    assert pixels(picture).shape[1] == margin + across * (CELL_PX + GAP_PX)


def test_equal_samples_do_not_deviate_and_others_as_known() -> None:
    same = np.full((5, 4, 4, 3), 77, np.uint8)
    assert not deviation(same).any()
    two = np.zeros((2, 1, 1, 3), np.uint8)
    two[1] = (2, 4, 0)
    np.testing.assert_allclose(deviation(two), [[(2 + 4 + 0) / 3 / np.sqrt(2)]])


def test_samples_differ_in_their_noise(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[np.ndarray] = []
    monkeypatch.setattr(pictures, "deviation", lambda some: drawn.append(some) or deviation(some))
    uncertainty(trial(run, samples=3), ignore)
    [samples] = drawn
    assert len(samples) == 3
    assert deviation(samples).mean() > 1
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (samples[one] != samples[other]).mean() > 0.5


def test_the_map_shows_samples_mean_and_deviation(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = trial(run, samples=4)
    samples = np.arange(4, dtype=np.uint8)[:, None, None, None].repeat(32, 1).repeat(32, 2)
    samples = np.repeat(10 * samples, 3, axis=3)
    monkeypatch.setattr(tried, "restore", lambda *_: samples)
    shown: list[Any] = []
    monkeypatch.setattr(pictures, "draw_grid", lambda rows, *labels: shown.extend([rows, labels]))
    _, caption = uncertainty(tried, ignore)
    [[low, one, two, three, mean, spread, original]] = shown[0]
    assert shown[1][1] == [
        *("input", "sample 1", "sample 2", "sample 3", "mean of 4", "deviation", "original")
    ]
    assert (one.max(), two.max(), three.max(), mean.max()) == (0, 10, 20, 15)
    np.testing.assert_array_equal(original, tried.test.high([tried.shown])[0])
    np.testing.assert_array_equal(low[::2, 1::2], tried.test.low([tried.shown])[0])
    assert (spread == int(8 * np.std([0, 10, 20, 30], ddof=1))).all()
    assert "12.9 levels" in caption


def test_grids_show_every_pixel_as_it_is() -> None:
    generator = np.random.default_rng(0)
    cells = generator.integers(0, 256, (2, 3, 32, 32, 3), dtype=np.uint8)
    drawn = pixels(draw_grid(cells, ["a", "b"], ["c", "d", "e"], "down", "across"))
    zoom = CELL_PX // 32
    for row in range(2):
        for column in range(3):
            top = 2 * LINE_PX + row * (CELL_PX + GAP_PX)
            left = MARGIN_PX + column * (CELL_PX + GAP_PX)
            cell = drawn[top : top + CELL_PX, left : left + CELL_PX]
            np.testing.assert_array_equal(cell[::zoom, ::zoom], cells[row, column])
    assert (drawn[:, : MARGIN_PX - 8] < 128).any() and (drawn[: 2 * LINE_PX] < 128).any()


def test_grids_need_labels_and_sizes_that_match() -> None:
    cells = np.zeros((1, 2, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="as many labels"):
        draw_grid(cells, ["a"], ["b"])
    with pytest.raises(ValueError, match="one size"):
        draw_grid([[cells[0, 0], cells[0, 1, :4]]], [""], ["a", "b"])
