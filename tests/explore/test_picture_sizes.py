"""Pictures larger than a tile: how they are put together, restored and measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from superres.core.tensors import to_pictures
from superres.degradation.degrade import degrade
from superres.explore.picture_sizes import Subjects, compare_sizes, estimated, make_scene, sampled
from superres.explore.regions import assemble, cut_apart, find_regions, windows
from superres.explore.trial import near_middle
from superres.sampling.batch import Batch, Sampling
from tiny_trial import build, ignore, trial


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("run"))


def photograph(run: Path, source: str) -> np.ndarray:
    return np.asarray(Image.open(run / "photographs" / source))


def test_scenes_are_the_photograph_itself_degraded_as_one(run: Path) -> None:
    tried = trial(run)
    subjects = Subjects(tried)
    assert (subjects.sizes, subjects.edge, subjects.absent) == ([1, 2], 2, [])
    scene = make_scene(tried, subjects.regions[0])
    corner = tried.test.rows.iloc[subjects.regions[0].items[0, 0]]
    x, y = int(corner["x"]), int(corner["y"])
    true = photograph(run, scene.source)[y : y + 64, x : x + 64]
    np.testing.assert_array_equal(scene.original, true)
    rows = tried.test.rows.iloc[subjects.regions[0].items.ravel()]
    recorded = rows[["entropy_blur", "entropy_jpeg"]].to_numpy()
    used = recorded[near_middle(recorded)][0]
    np.testing.assert_allclose(scene.entropies, used, atol=1e-6)
    strengths = {"blur": float(used[0]), "jpeg": float(used[1])}
    np.testing.assert_array_equal(
        scene.low, degrade(tried.test.degradation, true, strengths, "x")[0]
    )
    assert scene.low.shape == (32, 32, 3)


def test_tiles_laid_side_by_side_come_apart_again() -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (3, 3, 4, 4, 3), dtype=np.uint8)
    whole = assemble(tiles)
    np.testing.assert_array_equal(whole[4:8, 8:12], tiles[1, 2])
    np.testing.assert_array_equal(cut_apart(whole, 3), tiles.reshape(9, 4, 4, 3))


def places(*rows: tuple[str, int, int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["source", "x", "y", "sharpness"])


def test_regions_are_whole_and_the_sharpest_comes_first() -> None:
    square = [(0, 0), (32, 0), (0, 32), (32, 32)]
    rows = places(
        *(("dull", x, y, 1.0) for x, y in square),
        *(("holed", x, y, 9.0) for x, y in square[:3]),
        *(("sharp", x, y, 2.0) for x, y in [*square, (64, 0)]),
        ("sharp", 64, 32, 8.0),
        *(("apart", x + (x > 0), y, 9.0) for x, y in square),
    )
    found = find_regions(rows, 32, 2)
    assert [region.source for region in found] == ["sharp", "dull"]
    corners = rows.iloc[found[0].items.ravel()]
    assert corners[["x", "y"]].to_numpy().tolist() == [[32, 0], [64, 0], [32, 32], [64, 32]]
    assert find_regions(rows, 32, 3) == []
    assert [region.source for region in find_regions(rows, 32, 1)][:2] == ["apart", "holed"]


def test_windows_cover_everything() -> None:
    assert windows(2, 1) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert windows(4, 4) == [(0, 0)]
    assert windows(4, 3) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for size in (1, 2, 3, 4, 5):
        seen = np.zeros((5, 5), bool)
        for row, column in windows(5, size):
            seen[row : row + size, column : column + size] = True
        assert seen.all()


def test_a_window_is_restored_as_if_alone(run: Path) -> None:
    tried = trial(run)
    scene = make_scene(tried, Subjects(tried).regions[0])
    how = Sampling("ddpm", 2)

    def alone(low: np.ndarray, name: str) -> np.ndarray:
        batch = Batch(tried.model, low[np.newaxis], scene.entropies[np.newaxis], [name], 0)
        return to_pictures(batch.sample(how))[0].astype(int)

    whole, parts = sampled(tried, scene, 2, ignore), sampled(tried, scene, 1, ignore)
    assert np.abs(whole - alone(scene.low, f"{scene.ids[0]}/2")).max() <= 1
    corner = alone(scene.low[16:, :16], f"{scene.ids[2]}/1")
    assert np.abs(parts[32:, :32] - corner).max() <= 1
    estimate = Batch(tried.model, scene.low[np.newaxis], scene.entropies[np.newaxis], ["x/2"], 0)
    assert estimate.estimate().shape == (1, 3, 64, 64)
    assert estimated(tried, scene, 2, ignore).shape == (64, 64, 3)


def test_interpolation_gains_nothing_and_the_original_has_no_distance(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = trial(run, pictures=2)
    subjects = Subjects(tried)
    scenes = {
        scene.low.tobytes(): scene for scene in (make_scene(tried, r) for r in subjects.regions)
    }
    assert len(scenes) == 2

    def bicubic(low: np.ndarray, *_: object) -> np.ndarray:
        size = (2 * low.shape[2], 2 * low.shape[1])
        enlarged = [Image.fromarray(one).resize(size, Image.Resampling.BICUBIC) for one in low]
        return np.stack([np.asarray(one) for one in enlarged])

    def perfect(low: np.ndarray, *_: object) -> np.ndarray:
        if low.shape[1] == 32:
            return np.stack([scenes[one.tobytes()].original for one in low])
        return bicubic(low)

    monkeypatch.setattr(tried, "restore", bicubic)
    monkeypatch.setattr(tried, "estimate", perfect)
    found = compare_sizes(tried, subjects, ignore)
    table = found.table.set_index("size")
    assert list(found.table.columns) == [
        *("size", "edge_px", "tiles", "psnr", "psnr_estimate", "psnr_bicubic"),
        *("gain", "gain_estimate", "ssim", "ssim_estimate", "ssim_bicubic"),
        *("swd", "swd_estimate", "swd_bicubic"),
    ]
    assert (table["tiles"] == 8).all() and table["edge_px"].tolist() == [32, 64]
    assert table.loc[2, "swd"] == table.loc[2, "swd_bicubic"] > 0
    assert table.loc[1, "swd"] != table.loc[1, "swd_bicubic"]  # seams
    assert table.loc[2, "swd_estimate"] == 0 and table.loc[2, "ssim_estimate"] == 1
    # Every tile is exact once, which leaves no tile to compare PSNR on.
    assert table["psnr"].isna().all() and "0 of 8 tiles" in found.notes[0]
    monkeypatch.setattr(tried, "estimate", bicubic)
    table = compare_sizes(tried, subjects, ignore).table.set_index("size")
    assert table.loc[2, "gain"] == table.loc[2, "gain_estimate"] == 0
    assert table.loc[1, "gain"] != 0


def test_sizes_that_no_photograph_gives_are_named(run: Path) -> None:
    tried = trial(run, sizes=[3, 1, 2, 7])
    subjects = Subjects(tried)
    assert (subjects.sizes, subjects.absent) == ([1, 2], [3, 7])
    assert [note.split(" (")[0] for note in subjects.notes()] == [
        "Pictures of 3 x 3 tiles",
        "Pictures of 7 x 7 tiles",
    ]
    small = Subjects(trial(run, sizes=[1]))
    assert (small.edge, small.notes()) == (1, [])
    assert compare_sizes(trial(run, sizes=[1]), small, ignore).table["size"].tolist() == [1]


def test_large_pictures_are_shown_by_their_middle(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("superres.explore.picture_sizes.PANEL_PX", 40)
    shown: list[Any] = []
    monkeypatch.setattr(
        "superres.explore.picture_sizes.draw_grid", lambda rows, *_: shown.extend(rows)
    )
    tried = trial(run)
    found = compare_sizes(tried, Subjects(tried), ignore)
    original = make_scene(tried, Subjects(tried).regions[0]).original
    np.testing.assert_array_equal(shown[0][-1], original[12:52, 12:52])
    assert "The middle 40 of 64 pixels" in found.caption
