from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from forking import Run, story
from superres.config.check import check_params
from superres.core.errors import SuperresError
from superres.model.folder import read_spec
from superres.selection import scoring
from superres.selection import select as selecting
from superres.selection.select import select_model
from support import environment, tiny_params, write_yaml

METRICS = ["appearance", "psnr_estimate", "psnr_sample", "val_loss"]


def choose(project: Path, tmp_path: Path, checkpoints: Path, **changes: Any) -> pd.DataFrame:
    params = tiny_params()
    params["select"].update(changes)
    checked = check_params(write_yaml(tmp_path / "params.yaml", params))
    select_model(
        checked.select,
        checked.train.loss,
        checkpoints,
        project / "data/tiles",
        project / "data/pairs",
        tmp_path / "models" / "best",
        tmp_path / "selection.csv",
    )
    return pd.read_csv(tmp_path / "selection.csv")


def spoil(file: Path) -> None:
    """Add noise to every tensor of a file."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: tensor + 0.5 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in load_file(file).items()
    }
    step = file.parent.name.removeprefix("step-").lstrip("0")
    save_file(tensors, file, metadata={"step": step})


@pytest.fixture
def checkpoints(project: Path, tmp_path: Path) -> Path:
    """Return three checkpoints: one spoilt with noise, one as trained, one equal to the second."""
    folder = tmp_path / "checkpoints"
    good = project / "models/train/step-00000006"
    for step in (2, 4, 8):
        shutil.copytree(good, folder / f"step-{step:08d}")
    spoil(folder / "step-00000002" / "weights.safetensors")
    return folder


@pytest.mark.parametrize("metric", METRICS)
def test_the_best_wins_and_of_equals_the_earliest(
    project: Path, tmp_path: Path, checkpoints: Path, metric: str
) -> None:
    table = choose(project, tmp_path, checkpoints, metric=metric)
    assert list(table["step"]) == [2, 4, 8]
    assert list(table["chosen"]) == [0, 1, 0]
    assert list(table["tie"]) == [0, 1, 1]
    assert table[metric][1] == table[metric][2]
    assert table["difference"][0] == pytest.approx(table[metric][0] - table[metric][1])
    assert table["low"][0] < table["difference"][0] < table["high"][0]
    assert table["fid"].isna().all()
    spec = read_spec(tmp_path / "models/best")
    assert spec.provenance["metric"] == metric
    assert spec.provenance["ema"] == "classic"
    assert (spec.provenance["candidates"], spec.provenance["tied"]) == (3, 2)
    assert spec.provenance["scores"][metric] == pytest.approx(table[metric][1])
    ours = load_file(tmp_path / "models/best/weights.safetensors")
    theirs = load_file(checkpoints / "step-00000004" / "weights.safetensors")
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def test_a_distance_is_to_be_small(project: Path, tmp_path: Path, checkpoints: Path) -> None:
    table = choose(project, tmp_path, checkpoints, metric="swd")
    assert table["difference"].min() == 0
    assert table["swd"].idxmin() == table["difference"].idxmin()
    assert list(table["tie"]) == [
        int(low <= 0 <= high) for low, high in zip(table["low"], table["high"], strict=True)
    ]
    assert list(table["chosen"]) == [1 if row == table["tie"].idxmax() else 0 for row in range(3)]


def test_averages_of_other_lengths_are_candidates(
    project: Path, tmp_path: Path, checkpoints: Path
) -> None:
    shutil.rmtree(checkpoints)
    shutil.copytree(project / "models/train", checkpoints)
    for folder in checkpoints.iterdir():
        spoil(folder / "weights.safetensors")
    table = choose(project, tmp_path, checkpoints, ema_lengths=[0.05, 0.2])
    assert list(table["ema"]) == ["classic", "0.05", "0.2"] * 2
    assert not table["tie"][table["ema"] == "classic"].any()
    assert read_spec(tmp_path / "models/best").provenance["ema"] in ("0.05", "0.2")


def test_lengths_without_snapshots_are_refused(
    project: Path, tmp_path: Path, checkpoints: Path
) -> None:
    (checkpoints / "step-00000004" / "averages.safetensors").unlink()
    with pytest.raises(SuperresError, match=r"step-00000004: holds no snapshots .*power.*\[0\.1\]"):
        choose(project, tmp_path, checkpoints, ema_lengths=[0.1])


def test_batches_change_no_score(project: Path, tmp_path: Path, checkpoints: Path) -> None:
    one = choose(project, tmp_path, checkpoints, batch=1)
    two = choose(project, tmp_path, checkpoints, batch=3)
    pd.testing.assert_frame_equal(one, two, rtol=1e-3, atol=1e-4)


def test_no_checkpoint_is_an_error(project: Path, tmp_path: Path) -> None:
    with pytest.raises(SuperresError, match=r"holds no checkpoint \(step-\*\)"):
        choose(project, tmp_path, tmp_path)


def test_the_budget_takes_tiles_and_one_too_small_is_refused(
    project: Path, tmp_path: Path, checkpoints: Path
) -> None:
    each = 3 * (2 + 2)  # three candidates; loss, estimate, a sample of two steps
    choose(project, tmp_path, checkpoints, budget=4 * each - 1)
    assert read_spec(tmp_path / "models/best").provenance["scored_on"] == 3
    with pytest.raises(
        SuperresError, match=rf"select\.budget: must be at least {2 * each} .*got 23"
    ):
        choose(project, tmp_path, checkpoints, budget=2 * each - 1)


def test_an_interrupted_selection_goes_on(
    project: Path, tmp_path: Path, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = choose(project, tmp_path, checkpoints)
    plain, scored = scoring.Scorer.score, []

    def failing(self: scoring.Scorer, model: Any, bar: Any) -> scoring.Scores:
        scored.append(model.spec.provenance["step"])
        if len(scored) == 2:
            raise KeyboardInterrupt
        return plain(self, model, bar)

    monkeypatch.setattr(selecting.Scorer, "score", failing)
    with pytest.raises(KeyboardInterrupt):
        choose(project, tmp_path, checkpoints)
    kept = list((tmp_path / "models/.selection").rglob("*.json"))
    assert [path.name for path in kept] == ["step-00000002-classic.json"]
    pd.testing.assert_frame_equal(choose(project, tmp_path, checkpoints), whole)
    assert len(scored) == 4  # the first is not scored again
    assert not (tmp_path / "models/.selection").exists()


def test_a_selection_killed_at_any_moment_scores_nothing_twice(
    project: Path, tmp_path: Path
) -> None:
    killed, through = (tmp_path / name for name in ("killed", "through"))
    for folder in (killed, through):
        (folder / "models").mkdir(parents=True)
        (folder / "data").mkdir()
        for name in ("data/tiles", "data/pairs", "models/train"):
            (folder / name).symlink_to(project / name)
        params = tiny_params()
        params["select"].update(ema_lengths=[0.05])
        write_yaml(folder / "params.yaml", params)
    within, between, at_the_end = (
        """
from superres.selection.scoring import Scorer
after(Scorer, "score", 2)
""",
        """
import superres.selection.select as selecting
after(selecting, "write_json", 2)
""",
        """
import superres.selection.select as selecting
after(selecting, "write_csv", 1)
""",
    )
    counting = """
from superres.selection.scoring import Scorer
real = Scorer.score
def score(self, model, bar):
    print("scored one")
    return real(self, model, bar)
Scorer.score = score
"""
    hooks = [within, between, at_the_end, ""]
    runs = [Run(str(killed), counting + hook, stage="select_best.py") for hook in hooks]
    runs.append(Run(str(through), stage="select_best.py"))
    *ends, _, undisturbed = story(runs, environment())
    assert [end.status for end in ends] == [-signal.SIGKILL] * 3, ends
    # Four candidates: one kept and one lost, two kept, the last; then all is written again.
    assert [end.output.count("scored one") for end in ends] == [2, 2, 1]
    assert undisturbed.status == 0, undisturbed.output
    for name in ("reports/selection.csv", "models/best/model.json"):
        assert (killed / name).read_bytes() == (through / name).read_bytes()
    ours, theirs = (load_file(f / "models/best/weights.safetensors") for f in (killed, through))
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    assert not (killed / "models/.selection").exists()


def test_scores_of_other_params_or_weights_are_not_taken_up(
    project: Path, tmp_path: Path, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ending(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(selecting, "decide", ending)
    for seed in (0, 1, 0):
        with pytest.raises(KeyboardInterrupt):
            choose(project, tmp_path, checkpoints, seed=seed)
    spoil(checkpoints / "step-00000008" / "weights.safetensors")
    assert len(list((tmp_path / "models/.selection").iterdir())) == 2
    monkeypatch.undo()
    table = choose(project, tmp_path, checkpoints)
    assert table["psnr_estimate"][2] < table["psnr_estimate"][1]


def test_fid_is_computed_when_it_is_asked_for(
    project: Path,
    tmp_path: Path,
    checkpoints: Path,
    inception_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SUPERRES_INCEPTION", str(inception_file))
    shutil.rmtree(checkpoints / "step-00000002")  # each takes 100 roots of large matrices
    table = choose(project, tmp_path, checkpoints, metric="fid")
    assert table["fid"].notna().all()
    assert table["fid"][0] == table["fid"][1]
    assert np.isfinite(table[["low", "high"]].to_numpy()).all()


def test_fid_without_weights_is_an_error(
    project: Path, tmp_path: Path, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERRES_INCEPTION", "")
    monkeypatch.setenv("SUPERRES_OFFLINE", "1")
    monkeypatch.setenv("SUPERRES_CACHE", str(tmp_path))
    with pytest.raises(SuperresError, match=r"select\.metric: fid needs its weights"):
        choose(project, tmp_path, checkpoints, metric="fid")
