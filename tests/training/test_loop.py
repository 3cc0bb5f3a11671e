from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from trainings import run_training

from superres.errors import SuperresError
from superres.training.batches import Batches, HostBatch, TrainingBatch
from superres.training.checkpoints import Progress
from superres.training.objective import Objective
from support import ROOT, environment, tiny_params, write_yaml


def test_a_training_leaves_checkpoints_and_curves(project: Path, tmp_path: Path) -> None:
    out = run_training(project, tmp_path, "a", steps=5, checkpoint_every=2)
    names = sorted(path.name for path in out.iterdir())
    assert names == ["step-00000002", "step-00000004", "step-00000005"]
    description = json.loads((out / names[-1] / "model.json").read_text())
    assert description["provenance"]["step"] == 5
    assert description["entropies"] == ["blur", "jpeg"]
    log = pd.read_csv(tmp_path / "a" / "train.csv")
    assert list(log["step"]) == [1, 2, 4, 5]
    assert log["val_loss"].notna().sum() == 3
    assert {"loss", "mse", "vb", "gradient_norm", "learning_rate"} <= set(log.columns)
    assert not list((tmp_path / "a" / "models" / ".progress").iterdir())


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


def start_stage(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "stages/train.py")],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def workspace(project: Path, folder: Path) -> Path:
    params = tiny_params()
    params["train"].update(steps=20, checkpoint_every=10, log_every=4)
    params["train"]["previews"] = {"every": 10, "tiles": 2}
    folder.mkdir()
    write_yaml(folder / "params.yaml", params)
    (folder / "data").mkdir()
    for name in ("tiles", "pairs"):
        (folder / "data" / name).symlink_to(project / "data" / name)
    return folder


HOOKS = {
    "before its first state": """
from superres.training.trainer import Trainer
after(Trainer, "advance", 7)
""",
    "with half a state written": """
import superres.training.checkpoints as checkpoints
def half(path):
    file = path / "state.safetensors" if path.is_dir() else path
    os.truncate(file, file.stat().st_size // 2)
after(checkpoints, "save_file", 2, lambda tensors, path: half(path))
""",
    "between two states": """
from pathlib import Path
after(Path, "rename", 1, when=lambda path, *_: path.name == "state")
""",
    "after a state": """
from superres.training.batches import Batches, HostBatch, TrainingBatch
from superres.training.checkpoints import Progress
from superres.training.objective import Objective
after(Progress, "save", 2)
""",
    "while it draws": """
import superres.training.loop as loop
after(loop, "encode_png", 2)
""",
    "while it delivers": """
from superres.training.checkpoints import Progress
Progress.discard = lambda self: os.kill(os.getpid(), signal.SIGKILL)
""",
}
"""What makes the stage kill itself, really and at once, at moments that a clock cannot hit."""

KILLED = """
import os, runpy, signal, sys
sys.path.insert(0, sys.argv[1] + "/src")
def after(owner, name, times, spoil=lambda *_: None, when=lambda *_: True):
    real, calls = getattr(owner, name), []
    def call(*given, **named):
        result = real(*given, **named)
        calls.extend([1] * bool(when(*given)))
        if len(calls) == times:
            spoil(*given)
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, call)
{hook}
runpy.run_path(sys.argv[1] + "/stages/train.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def through(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = workspace(project, tmp_path_factory.mktemp("through") / "run")
    assert start_stage(folder).wait(timeout=120) == 0
    return folder


def assert_same_end(killed: Path, through: Path) -> None:
    for name in ("weights", "averages"):
        last = f"models/train/step-00000020/{name}.safetensors"
        ours, theirs = load_file(killed / last), load_file(through / last)
        assert all(torch.equal(ours[key], tensor) for key, tensor in theirs.items()), name
    for name in ("train.csv", "previews/step-00000020.png"):
        ours, theirs = ((folder / "reports" / name).read_bytes() for folder in (killed, through))
        assert ours == theirs, name
    assert not list((killed / "models/.progress").iterdir())


@pytest.mark.parametrize("moment", HOOKS)
def test_a_training_killed_at_any_moment_ends_in_the_same_weights(
    project: Path, tmp_path: Path, through: Path, moment: str
) -> None:
    killed = workspace(project, tmp_path / "killed")
    script = KILLED.replace("{hook}", HOOKS[moment])
    done = subprocess.run(
        [sys.executable, "-c", script, str(ROOT)],
        cwd=killed,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (killed / "models/train").exists() == (moment == "while it delivers")
    again = start_stage(killed)
    output, _ = again.communicate(timeout=120)
    assert again.returncode == 0, output
    assert ("going on from step" in output) == (moment != "before its first state")
    assert_same_end(killed, through)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_asked_to_stop_keeps_its_state_and_fails(
    project: Path, tmp_path: Path, through: Path, number: signal.Signals
) -> None:
    stopped = workspace(project, tmp_path / "stopped")
    process = start_stage(stopped)
    deadline = time.monotonic() + 60
    while not (stopped / "reports/train.csv").exists():
        assert time.monotonic() < deadline, "no row was written"
        time.sleep(0.005)
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "stopped at step" in output
    assert not (stopped / "models/train").exists()
    again = start_stage(stopped)
    output, _ = again.communicate(timeout=120)
    assert again.returncode == 0, output
    assert_same_end(stopped, through)


def test_other_params_start_afresh_and_say_so(project: Path, tmp_path: Path) -> None:
    folder = workspace(project, tmp_path / "x")
    (folder / "models/.progress/0123456789abcdef").mkdir(parents=True)
    output, _ = start_stage(folder).communicate(timeout=120)
    assert "starting afresh; 1 unfinished training(s) of other params, data or code stay" in output


def test_a_full_disk_leaves_the_last_state(project: Path, tmp_path: Path, through: Path) -> None:
    """The second state may not be written; files of the process are limited as a disk would."""
    folder = workspace(project, tmp_path / "full")
    script = KILLED.replace(
        "{hook}",
        """
import resource
from superres.training.batches import Batches, HostBatch, TrainingBatch
from superres.training.checkpoints import Progress
from superres.training.objective import Objective
real = Progress.save
def save(self, state):
    if state.step > 10:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    real(self, state)
Progress.save = save
""",
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(ROOT)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "the last good state is kept" in done.stderr
    assert "Traceback" not in done.stderr
    output, _ = start_stage(folder).communicate(timeout=120)
    assert "going on from step 10" in output
    assert_same_end(folder, through)


def test_a_folder_that_cannot_be_written_is_named(project: Path, tmp_path: Path) -> None:
    folder = workspace(project, tmp_path / "x")
    (folder / "models").mkdir()
    (folder / "models/.progress").write_text("a file where a folder is needed")
    output, _ = start_stage(folder).communicate(timeout=60)
    assert "train: error: models/.progress/" in output
    assert "cannot be written" in output


def test_a_skipped_step_is_told_counted_and_limited(
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


def test_no_memory_is_told_with_what_fits(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = Objective.terms

    def short_of_memory(self: Objective, batch: TrainingBatch, t: torch.Tensor) -> object:
        if len(batch.high) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return terms(self, batch, t)

    monkeypatch.setattr(Objective, "terms", short_of_memory)
    with pytest.raises(SuperresError, match=r"train\.micro_batches: 4 \(1 in a pass\) fits"):
        run_training(project, tmp_path, "a")


def test_speed_is_no_output_but_can_be_watched(project: Path, tmp_path: Path) -> None:
    run_training(project, tmp_path, "a")
    speed = pd.read_csv(tmp_path / "a" / "train_speed.csv")
    assert (speed["images_per_second"] > 0).all()
    assert list(speed["step"]) == list(pd.read_csv(tmp_path / "a" / "train.csv")["step"])
    assert len(list((tmp_path / "a" / "previews").iterdir())) == 2


def test_tensorboard_is_imported_only_when_asked_for(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run_training(project, tmp_path, "a")
    monkeypatch.setenv("SUPERRES_TENSORBOARD", str(tmp_path / "board"))
    with pytest.raises(SuperresError, match=r"SUPERRES_TENSORBOARD.*pip install tensorboard"):
        run_training(project, tmp_path, "b")


def test_tensorboard_gets_the_rows(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    monkeypatch.setenv("SUPERRES_TENSORBOARD", str(tmp_path / "board"))
    run_training(project, tmp_path, "a")
    (events,) = (tmp_path / "board").iterdir()
    assert b"train/loss_q0" in events.read_bytes()
