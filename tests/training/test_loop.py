from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from trainings import run_training

from superres.core.errors import SuperresError
from superres.training.checkpoint import Progress
from superres.training.data import Batches, HostBatch, TrainingBatch
from superres.training.objectives import Denoising


@pytest.fixture(scope="module")
def finished(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a training that was left in peace, with TensorBoard's in it."""
    folder, threads = tmp_path_factory.mktemp("finished"), torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SUPERRES_TENSORBOARD", str(folder / "board"))
        run_training(project, folder, "a", steps=5, checkpoint_every=2)
    torch.set_num_threads(threads)
    return folder


def test_a_training_leaves_checkpoints_and_curves(finished: Path) -> None:
    out = finished / "a" / "models" / "train"
    names = sorted(path.name for path in out.iterdir())
    assert names == ["step-00000002", "step-00000004", "step-00000005"]
    description = json.loads((out / names[-1] / "model.json").read_text())
    assert description["provenance"]["step"] == 5
    assert description["entropies"] == ["blur", "jpeg"]
    log = pd.read_csv(finished / "a" / "train.csv")
    assert list(log["step"]) == [1, 2, 4, 5]
    assert log["val_loss"].notna().sum() == 3
    assert {"loss", "mse", "vb", "gradient_norm", "learning_rate"} <= set(log.columns)
    assert not list((finished / "a" / "models" / ".progress").iterdir())


def test_speed_is_no_output_but_can_be_watched(finished: Path) -> None:
    speed = pd.read_csv(finished / "a" / "train_speed.csv")
    assert (speed["images_per_second"] > 0).all()
    assert list(speed["step"]) == list(pd.read_csv(finished / "a" / "train.csv")["step"])
    assert len(list((finished / "a" / "previews").iterdir())) == 2


def test_tensorboard_gets_the_rows(finished: Path) -> None:
    (events,) = (finished / "board").iterdir()
    assert b"train/loss_q0" in events.read_bytes()


def test_a_loss_that_explodes_ends_the_run_and_keeps_the_last_state(
    project: Path, tmp_path: Path
) -> None:
    with pytest.raises(SuperresError, match=r"at step \d+ .*train\.learning_rate\.peak"):
        run_training(
            project,
            tmp_path,
            "a",
            steps=40,
            log_every=1,
            checkpoint_every=1,
            clip_norm=None,
            learning_rate={
                "peak": 1.0,
                "warmup_steps": 0,
                "decay": "constant",
                "final_fraction": 1.0,
                "halve_at": [],
            },
            weight_decay=10.0,
        )
    assert not (tmp_path / "a" / "models" / "train").exists()
    (folder,) = (tmp_path / "a" / "models" / ".progress").iterdir()
    state = Progress(folder.parent, folder.name).load()
    assert state is not None
    assert all(np.isfinite(row["loss"]) for row in state.log)


def test_a_training_killed_after_its_last_step_still_delivers(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the results' arrival and the end of progress, everything is done once more."""

    def killed(_: Progress) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Progress, "discard", killed)
        run_training(project, tmp_path, "a")
    out = run_training(project, tmp_path, "a")
    assert [path.name for path in sorted(out.iterdir())] == ["step-00000003", "step-00000006"]
    assert (out / "step-00000006" / "weights.safetensors").is_file()


def test_other_params_start_afresh_and_say_so(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "a/models/.progress/0123456789abcdef"
    other.mkdir(parents=True)
    (other / "state").write_bytes(b"x" * 2**20)
    run_training(project, tmp_path, "a", steps=1)
    output = capsys.readouterr().err
    assert (
        "starting afresh; 1 unfinished training(s) of other params, data or training format stay in"
        in output
    )
    assert "models/.progress (1.0 MiB); delete them there" in output
    assert other.is_dir()


@pytest.mark.usefixtures("fp32_alone")
def test_a_precision_that_only_costs_time_is_named(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_training(project, tmp_path, "a", steps=1, precision="bf16")
    assert "no instructions for bf16; fp32 will be faster" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(project: Path, tmp_path: Path) -> None:
    (tmp_path / "a/models").mkdir(parents=True)
    (tmp_path / "a/models/.progress").write_text("a file where a folder is needed")
    with pytest.raises(SuperresError, match=r"models/\.progress/.*cannot be written"):
        run_training(project, tmp_path, "a", steps=1)


def test_results_are_copied_where_files_cannot_have_two_names(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    out = run_training(project, tmp_path, "a", steps=1)
    assert (out / "step-00000001" / "weights.safetensors").stat().st_nlink == 1


def test_a_skipped_step_is_reported_counted_and_limited(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = {2, 5}
    read = Batches.read

    def spoil(self: Batches, first: int, count: int) -> HostBatch:
        batch = read(self, first, count)
        if first // 4 in bad:
            batch.entropy[0] = torch.nan
        return batch

    monkeypatch.setattr(Batches, "read", spoil)
    skip = {"action": "skip", "limit": 2, "factor": 100.0}
    run_training(project, tmp_path, "a", bad_loss=skip, log_every=6, checkpoint_every=6)
    log = pd.read_csv(tmp_path / "a" / "train.csv")
    assert log["skipped"].iloc[-1] == 2
    assert np.isfinite(log["loss"]).all()
    assert "skipped step 3: the loss is nan; worst tiles: " in capsys.readouterr().err
    bad.add(3)
    with pytest.raises(SuperresError, match=r"more than train\.bad_loss\.limit 2 allows.*worst"):
        run_training(project, tmp_path, "b", bad_loss=skip)


def test_lack_of_memory_is_reported_with_what_fits(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = Denoising.terms

    def short_of_memory(self: Denoising, batch: TrainingBatch, t: torch.Tensor) -> object:
        if len(batch.high) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return terms(self, batch, t)

    monkeypatch.setattr(Denoising, "terms", short_of_memory)
    with pytest.raises(SuperresError, match=r"train\.micro_batches: 4 \(1 in a pass\) fits"):
        run_training(project, tmp_path, "a")


def test_tensorboard_is_imported_only_when_asked_for(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run_training(project, tmp_path, "a", steps=1)
    monkeypatch.setenv("SUPERRES_TENSORBOARD", str(tmp_path / "board"))
    with pytest.raises(SuperresError, match=r"SUPERRES_TENSORBOARD.*pip install tensorboard"):
        run_training(project, tmp_path, "b")
