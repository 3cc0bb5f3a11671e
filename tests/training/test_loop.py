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
from superres.training.checkpoints import Progress
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
    params["train"].update(steps=40, checkpoint_every=10, log_every=5)
    folder.mkdir()
    write_yaml(folder / "params.yaml", params)
    (folder / "data").mkdir()
    for name in ("tiles", "pairs"):
        (folder / "data" / name).symlink_to(project / "data" / name)
    return folder


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 128 + 15)]
)
def test_a_killed_training_goes_on_and_ends_in_the_same_weights(
    project: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    through = workspace(project, tmp_path / "through")
    assert start_stage(through).wait(timeout=120) == 0

    killed = workspace(project, tmp_path / "killed")
    process = start_stage(killed)
    deadline = time.monotonic() + 60
    while not list(killed.glob("models/.progress/*/state/state.json")):
        assert time.monotonic() < deadline, "no state was written"
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, number)
    assert process.wait(timeout=60) == status
    assert not (killed / "models/train").exists()

    again = start_stage(killed)
    output, _ = again.communicate(timeout=120)
    assert again.returncode == 0, output
    assert "going on from step" in output
    last = "models/train/step-00000040/weights.safetensors"
    ours, theirs = load_file(killed / last), load_file(through / last)
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name
    assert (killed / "reports/train.csv").read_text() == (through / "reports/train.csv").read_text()
