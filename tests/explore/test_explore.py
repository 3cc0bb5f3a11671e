"""The `explore` stage's function, ways of sampling, and params."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from superres.config.check import check_params
from superres.core.errors import SuperresError
from superres.data.tile_grid import sharpness
from superres.explore.entropy_grid import entropy_grid, restore_as_if, uncertainty
from superres.explore.explore import count_evaluations, explore
from superres.explore.picture_sizes import Subjects, compare_sizes
from superres.explore.sampling_curves import step_curves
from superres.explore.trial import finite_means, near_middle
from superres.model.resolver import Conditioned
from superres.sampling.batch import Batch, Sampling
from superres.sampling.samplers import SAMPLERS, evaluations
from support import ROOT, tiny_params, write_yaml
from tiny_trial import build, ignore, params, trial, write
from tools.code_dependencies import stages


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("run"))


def test_everything_is_written_and_named(run: Path, tmp_path: Path) -> None:
    facts = write(run, tmp_path / "out", sizes=[1, 2, 4])
    written = {path.name for path in (tmp_path / "out").iterdir()}
    told = json.loads((tmp_path / "out" / "explore.json").read_text())
    assert written == {"steps.csv", "sizes.csv", "explore.json", *told["pictures"]}
    assert [note for note in told["notes"] if "4 x 4" in note and "explore.sizes" in note]
    assert set(facts["milliseconds_per_tile"]) == {"ddpm linear", "heun trailing"}
    assert set(facts["milliseconds_per_tile"]["ddpm linear"]) == {"1", "2"}
    assert set(facts["milliseconds_per_window"]) == {"1", "2"}
    assert min(facts["milliseconds_per_window"].values()) > 0


def test_dvc_plots_what_is_written(run: Path, tmp_path: Path) -> None:
    write(run, tmp_path)
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    shown = [plot for plot in plots if "reports/explore/" in str(plot)]
    assert len(shown) == 6
    for plot in shown:
        if isinstance(plot, str):
            assert (tmp_path / Path(plot).name).is_file()
            continue
        [about] = plot.values()
        [(name, columns)] = about["y"].items()
        table = pd.read_csv(tmp_path / Path(name).name)
        columns = [columns] if isinstance(columns, str) else columns
        assert {about["x"], *columns} <= set(table.columns)
        if "template" in about:
            template = (ROOT / ".dvc" / "plots" / f"{about['template']}.json").read_text()
            assert json.loads(template)["data"] == {"values": "<DVC_METRIC_DATA>"}
            assert {"sampler", "spacing", "steps"} <= set(table.columns)
    assert list(stages()["explore"]["outs"][0]) == ["reports/explore"]


def test_twice_gives_the_same_bytes_and_another_seed_others(run: Path, tmp_path: Path) -> None:
    for name, changes in (("a", {}), ("b", {}), ("c", {"seed": 1})):
        write(run, tmp_path / name, **changes)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    for name in ("steps.csv", "sizes.csv", "entropies.png", "uncertainty.png", "sizes.png"):
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes(), name


def test_batches_change_nothing_but_rounding(run: Path) -> None:
    one, many = trial(run, batch=1), trial(run, batch=64)
    assert np.abs(restore_as_if(one, ignore).astype(int) - restore_as_if(many, ignore)).max() <= 1


def test_evaluations_are_those_that_the_network_makes(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, tiles = [], []
    of = Conditioned.__call__

    def counting(self: Conditioned, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        counted.append(len(x))
        tiles.append(len(x) * x.shape[2] * x.shape[3] // 32**2)
        return of(self, x, t)

    monkeypatch.setattr(Conditioned, "__call__", counting)
    tried = trial(run)
    low = tried.test.low([0])
    for sampler in SAMPLERS:
        for steps in (1, 2, 5):
            counted.clear()
            advanced: list[int] = []
            how = Sampling(sampler, steps)
            tried.restore(low, tried.test.entropies([0]), ["a"], how, advanced.append)
            assert sum(counted) == sum(advanced) == evaluations(sampler, steps), (sampler, steps)
    tiles.clear()
    facts = write(run, tmp_path / "out", sizes=[1, 2], pictures=2)
    assert sum(tiles) == facts["evaluations"]


def test_the_bar_counts_all_that_is_foretold(run: Path) -> None:
    tried = trial(run)
    subjects = Subjects(tried)
    advanced: list[int] = []
    entropy_grid(tried, advanced.append)
    uncertainty(tried, advanced.append)
    step_curves(tried, advanced.append)
    compare_sizes(tried, subjects, advanced.append)
    assert sum(advanced) == count_evaluations(tried, subjects)


def test_curves_have_a_row_per_way_and_say_what_it_costs(run: Path) -> None:
    curves = [
        {"sampler": "heun", "spacing": "karras", "steps": [4, 2]},
        {"sampler": "ddim", "spacing": "linear", "steps": [3]},
    ]
    tried = trial(run, curves=curves, tiles=5)
    table, notes, times = step_curves(tried, ignore)
    assert list(table.columns) == [
        *("sampler", "spacing", "steps", "evaluations", "psnr", "ssim", "swd", "tiles")
    ]
    assert table.iloc[:, :4].to_numpy().tolist() == [
        ["heun", "karras", 2, 3],
        ["heun", "karras", 4, 7],
        ["ddim", "linear", 3, 3],
    ]
    assert (table["tiles"] == 5).all() and notes == []
    assert np.isfinite(table[["psnr", "ssim", "swd"]].to_numpy()).all()
    assert {way: list(steps) for way, steps in times.items()} == {
        "heun karras": ["2", "4"],
        "ddim linear": ["3"],
    }
    # Other ways make other pictures.
    assert table["psnr"].nunique() == 3


def test_a_perfect_model_has_no_distance(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = trial(run)
    originals = tried.test.high(tried.items)
    monkeypatch.setattr(tried, "restore", lambda *_: originals)
    table, notes, _ = step_curves(tried, ignore)
    assert (table["swd"] == 0).all()
    np.testing.assert_allclose(table["ssim"], 1)
    assert table["psnr"].isna().all()
    assert notes == [
        "PSNR in steps.csv is the mean of 0 of 2 tiles: the other 2 were once restored exactly, "
        "where it is infinite."
    ]


def test_means_leave_out_the_same_tiles_of_every_row() -> None:
    means, left_out = finite_means(np.array([[30.0, np.inf, 20.0], [10.0, 5.0, 40.0]]))
    assert means.tolist() == [25.0, 25.0] and left_out == 1


def test_tiles_are_spread_from_sharpest_to_dullest(run: Path) -> None:
    tried = trial(run, tiles=3)
    order = tried.test.rows["sharpness"].rank(method="first").to_numpy()
    middle = sorted(order[tried.items])
    assert (middle[0], middle[2]) == (1, len(order))
    assert abs(middle[1] - (len(order) + 1) / 2) <= 1
    assert len(trial(run, tiles=1000).items) == len(order)


def test_the_tile_shown_has_detail_left_and_strengths_near_the_middle(run: Path) -> None:
    tried = trial(run)
    everything = np.arange(len(tried.test))
    middle = everything[near_middle(tried.test.entropies(everything))]
    detail = [sharpness(tried.test.low([item])[0]) for item in middle]
    assert len(middle) > 1 and tried.shown == middle[np.argmax(detail)]


def test_larger_pictures_count_by_their_area_in_a_batch(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = trial(run, batch=8)
    sizes: list[int] = []
    of = Batch.estimate
    monkeypatch.setattr(Batch, "estimate", lambda self: sizes.append(len(self.low)) or of(self))
    for edge, wanted in ((16, [8, 2]), (32, [2, 2, 2, 2, 2]), (64, [1] * 10)):
        sizes.clear()
        low = np.zeros((10, edge, edge, 3), np.uint8)
        tried.estimate(low, np.zeros((10, 2)), list("abcdefghij"), ignore)
        assert sizes == wanted


def test_strengths_near_the_middle() -> None:
    strengths = np.array([[0.0, 0.5], [0.3, 0.7], [0.9, 0.9], [0.5, 0.74]])
    assert near_middle(strengths).tolist() == [False, True, False, True]
    assert near_middle(strengths[[0, 2]]).tolist() == [False, True]
    assert near_middle(np.zeros((2, 0))).all()


def test_more_steps_than_trained_on_are_refused(run: Path) -> None:
    late = [*tiny_params()["explore"]["curves"]]
    late[1] = {**late[1], "steps": [2, 101]}
    for changes, key in (
        ({"grid_steps": 101}, "grid_steps"),
        ({"curves": late}, r"curves\.1\.steps"),
    ):
        with pytest.raises(
            SuperresError, match=rf"explore\.{key}: must be between 1 and 100.*got 101"
        ):
            trial(run, **changes)


def test_nothing_is_written_where_something_fails(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    with pytest.raises(SuperresError, match="grid_steps"):
        write(run, tmp_path / "out", grid_steps=200)
    with pytest.raises(SuperresError, match="not a model folder"):
        explore(params(), tmp_path, run / "tiles", run / "pairs", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"sizes": [2, 4]}, "sizes: must have 1"),
        ({"sizes": [1, 2, 2]}, "sizes: 2 is duplicated"),
        ({"sizes": [1, 0]}, r"explore\.sizes\.1: must be between 1 and 16, got 0"),
        ({"curves": []}, "curves"),
        (
            {"curves": [{"sampler": "ddpm", "spacing": "linear", "steps": [2, 2]}]},
            "2 is duplicated",
        ),
        (
            {"curves": 2 * [{"sampler": "ddpm", "spacing": "linear", "steps": [2]}]},
            "curves: ddpm linear is duplicated",
        ),
        (
            {"curves": [{"sampler": "euler", "spacing": "linear", "steps": [2]}]},
            r"explore\.curves\.0\.sampler: must be one of",
        ),
        (
            {"curves": [{"sampler": "ddpm", "spacing": "linear", "stepps": [2]}]},
            r"explore\.curves\.0: unknown key 'stepps' \(did you mean 'steps'\?\)",
        ),
        ({"pictures": 0}, r"explore\.pictures"),
    ],
)
def test_params_are_strict(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(SuperresError, match=fault):
        params(**changes)


def test_curves_must_fit_the_diffusion(tmp_path: Path) -> None:
    values = tiny_params()
    values["explore"]["curves"][1]["steps"] = [500]
    with pytest.raises(SuperresError, match=r"explore\.curves\.1\.steps: must be at most .* 100"):
        check_params(write_yaml(tmp_path / "params.yaml", values))
