from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from superres.errors import SuperresError
from superres.training.launch import processes_wanted
from superres.training.processes import Processes, connected
from support import ROOT, environment, tiny_params, write_yaml

CPU = torch.device("cpu")
LAST = "models/train/step-00000006"


def workspace(project: Path, folder: Path, **changes: Any) -> Path:
    params = tiny_params()
    params["train"].update({"batch": 4, "micro_batches": 2, **changes})
    folder.mkdir()
    write_yaml(folder / "params.yaml", params)
    (folder / "data").mkdir()
    for name in ("tiles", "pairs"):
        (folder / "data" / name).symlink_to(project / "data" / name)
    return folder


def start(folder: Path, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "stages/train.py")],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(ROOT / "src"), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, **variables: str) -> str:
    process = start(folder, **variables)
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output
    return output


def assert_same(ours: Path, theirs: Path, tolerance: float) -> None:
    """On a tensor's average; single weights, whose gradients nearly vanish, are Adam's whim."""
    for name in ("weights.safetensors", "averages.safetensors"):
        mine, other = load_file(ours / LAST / name), load_file(theirs / LAST / name)
        assert mine.keys() == other.keys()
        for key, tensor in other.items():
            assert (mine[key] - tensor).abs().mean() < tolerance, key
            torch.testing.assert_close(mine[key], tensor, rtol=0, atol=100 * tolerance)


@pytest.fixture(scope="module")
def alone(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = workspace(project, tmp_path_factory.mktemp("alone") / "run")
    run(folder)
    return folder


@pytest.mark.parametrize(("shard", "tolerance"), [("", 1e-7), ("1", 2e-5)])
def test_two_processes_give_the_weights_of_one(
    project: Path, tmp_path: Path, alone: Path, shard: str, tolerance: float
) -> None:
    """Six steps move weights by about 5e-4; divided ones are summed in another order."""
    two = workspace(project, tmp_path / "two")
    run(two, SUPERRES_PROCESSES="2", SUPERRES_SHARD=shard)
    assert_same(two, alone, tolerance)
    # Adam does not mind the scale of gradients; their norm shows it.
    ours, theirs = (pd.read_csv(folder / "reports/train.csv") for folder in (two, alone))
    pd.testing.assert_frame_equal(ours, theirs, rtol=0.02)
    assert (two / "reports/previews/step-00000006.png").is_file()
    assert "train" in (two / "reports/timing.json").read_text()


def test_two_processes_share_what_importance_sampling_learns(project: Path, tmp_path: Path) -> None:
    changes = {
        "loss": {**tiny_params()["train"]["loss"], "timesteps": "loss_second_moment"}
        | {"high_noise": 0.0, "kind": "kl"},
        "learning_rate": {**tiny_params()["train"]["learning_rate"], "peak": 1e-4},
    }
    one, two = (workspace(project, tmp_path / name, **changes) for name in ("one", "two"))
    run(one)
    run(two, SUPERRES_PROCESSES="2")
    assert_same(two, one, tolerance=5e-6)


def test_a_training_stopped_in_two_processes_goes_on_in_one(
    project: Path, tmp_path: Path, alone: Path
) -> None:
    """SIGTERM to the launcher reaches both; they stop after the same step and keep their state."""
    through, stopped = (
        workspace(project, tmp_path / name, steps=160, checkpoint_every=80, previews=NO_PREVIEWS)
        for name in ("through", "stopped")
    )
    process = start(stopped, SUPERRES_PROCESSES="2")
    deadline = time.monotonic() + 90
    while not list(stopped.glob("reports/train.csv")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "stopped at step" in output
    assert not (stopped / "models/train").exists()
    assert "going on from step" in run(stopped)
    run(through)
    ours, theirs = (
        load_file(folder / "models/train/step-00000160/weights.safetensors")
        for folder in (stopped, through)
    )
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=0, atol=0.02)


NO_PREVIEWS = {"every": None, "tiles": 1}


def test_passes_are_dealt_out() -> None:
    assert [Processes(0, count, CPU).passes(256, 32) for count in (1, 4, 64)] == [32, 8, 1]
    with pytest.raises(SuperresError, match=r"train\.batch: 8 tiles .* 3 processes"):
        Processes(0, 3, CPU).passes(8, 1)


def test_alone_nothing_is_exchanged() -> None:
    with connected() as processes:
        assert (processes.rank, processes.count, processes.sharded) == (0, 1, False)
        values = torch.arange(4)
        assert processes.gather(values) is values
        assert torch.equal(processes.mine(values), values)
        assert processes.largest(3) == 3


@pytest.mark.parametrize("text", ["0", "two", "-1"])
def test_a_number_of_processes_is_a_number(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SUPERRES_PROCESSES", text)
    with pytest.raises(SuperresError, match=f"SUPERRES_PROCESSES: .*{text}"):
        processes_wanted()


def test_one_process_on_a_device_of_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("SUPERRES_PROCESSES", raising=False)
    monkeypatch.delenv("SUPERRES_DEVICE", raising=False)
    assert processes_wanted() == 4
    monkeypatch.setenv("SUPERRES_DEVICE", "cuda:1")
    assert processes_wanted() == 1


def test_a_launcher_that_is_not_there_is_named(project: Path, tmp_path: Path) -> None:
    process = start(workspace(project, tmp_path / "x"), SUPERRES_LAUNCHER="no-such-launcher -n 2")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "train: error: SUPERRES_LAUNCHER: no-such-launcher" in output
