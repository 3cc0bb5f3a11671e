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
from trainings import MUON, workspace

from forking import End, Run, story
from support import ROOT, environment, tiny_params

LAST = "models/train/step-00000006"
TRAIN = tiny_params()["train"]
ONE_PASS = {"batch": 4, "micro_batches": 2, "fresh_corruptions": 0.5}
"""Each of two processes makes one."""
TWO_PASSES = {**ONE_PASS, "batch": 12, "micro_batches": 3}
"""Three in a single process; each of two makes two."""
IMPORTANCE = {
    **ONE_PASS,
    "loss": {**TRAIN["loss"], "timesteps": "loss_second_moment", "high_noise": 0.0, "kind": "kl"},
    "learning_rate": {**TRAIN["learning_rate"], "peak": 1e-4},
}
TWO_PARTS = {"two_parts": True, "batch": 4, "micro_batches": 2}
TWO_PARTS_MUON = {**TWO_PARTS, "muon": MUON}
BAD = {**ONE_PASS, "bad_loss": {"action": "skip", "limit": 1, "factor": None}}
SPOIL = """
from superres.training.data import Batches
read = Batches.read
def spoilt(self, first, count):
    batch = read(self, first, count)
    for position in (7, 14):  # tiles of the second process, in steps 2 and 4
        if first <= position < first + count:
            batch.entropy[position - first] = float("nan")
    return batch
Batches.read = spoilt
"""
HELD = """
import gc
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as Network
destroy = dist.destroy_process_group
def last():
    print("networks held:", sum(issubclass(type(held), Network) for held in gc.get_objects()))
    destroy()
dist.destroy_process_group = last
"""
CASES: dict[str, tuple[dict[str, Any], Run]] = {
    "one": (ONE_PASS, Run("")),
    "two": (ONE_PASS, Run("", hook=HELD, processes=2)),
    "divided": (ONE_PASS, Run("", processes=2, environment={"SUPERRES_SHARD": "1"})),
    "one, passes": (TWO_PASSES, Run("")),
    "two, passes": (TWO_PASSES, Run("", processes=2)),
    "divided, passes": (TWO_PASSES, Run("", processes=2, environment={"SUPERRES_SHARD": "1"})),
    "one, importance": (IMPORTANCE, Run("")),
    "two, importance": (IMPORTANCE, Run("", processes=2)),
    "one, two parts": (TWO_PARTS, Run("")),
    "two, two parts": (TWO_PARTS, Run("", processes=2)),
    "one, Muon": (TWO_PARTS_MUON, Run("")),
    "two, Muon": (TWO_PARTS_MUON, Run("", processes=2)),
    "divided, two parts": (TWO_PARTS, Run("", processes=2, environment={"SUPERRES_SHARD": "1"})),
    "two, spoilt": (BAD, Run("", hook=SPOIL + HELD, processes=2)),
}


@pytest.fixture(scope="module")
def cases(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, End]]:
    """Return where each case ran, and how it ended."""
    root = tmp_path_factory.mktemp("processes")
    folders = [workspace(project, root / name, **changes) for name, (changes, _) in CASES.items()]
    runs = [run for _, run in CASES.values()]
    found = story(
        [run._replace(folder=str(at)) for run, at in zip(runs, folders, strict=True)],
        environment(),
    )
    return dict(zip(CASES, zip(folders, found, strict=True), strict=True))


def assert_same(ours: Path, theirs: Path, tolerance: float) -> None:
    """On a tensor's average; single weights, whose gradients nearly vanish, are Adam's whim."""
    for name in ("weights.safetensors", "averages.safetensors"):
        mine, other = load_file(ours / LAST / name), load_file(theirs / LAST / name)
        assert mine.keys() == other.keys()
        for key, tensor in other.items():
            assert (mine[key] - tensor).abs().mean() < tolerance, key
            torch.testing.assert_close(mine[key], tensor, rtol=0, atol=100 * tolerance)


@pytest.mark.parametrize(
    ("two", "one", "tolerance"),
    [
        ("two", "one", 1e-7),
        ("divided", "one", 2e-5),
        ("two, passes", "one, passes", 2e-5),
        ("divided, passes", "one, passes", 2e-5),
        ("two, importance", "one, importance", 5e-6),
        ("two, two parts", "one, two parts", 2e-5),
        ("divided, two parts", "one, two parts", 2e-5),
        ("two, Muon", "one, Muon", 2e-5),
    ],
)
def test_two_processes_give_the_weights_of_one(
    cases: dict[str, tuple[Path, End]], two: str, one: str, tolerance: float
) -> None:
    """Six steps move weights by about 5e-4; in another division sums have another order."""
    for name in (one, two):
        assert not any(cases[name][1].statuses), cases[name][1].output
    ours, theirs = cases[two][0], cases[one][0]
    assert_same(ours, theirs, tolerance)
    # Adam does not mind the scale of gradients; their norm shows it.
    rows = [pd.read_csv(folder / "reports/train.csv") for folder in (ours, theirs)]
    pd.testing.assert_frame_equal(*rows, rtol=0.02)
    assert (ours / "reports/previews/step-00000006.png").is_file()


def test_both_processes_skip_what_one_cannot_use_and_give_up_together(
    cases: dict[str, tuple[Path, End]],
) -> None:
    end = cases["two, spoilt"][1]
    assert end.statuses == [1, 1], end.output
    assert end.output.count("train: skipped step 2: the loss is nan; worst tiles: ") == 1
    assert "2 steps skipped, more than train.bad_loss.limit 1 allows: the loss is nan" in end.output
    assert "Traceback" not in end.output


@pytest.mark.parametrize("name", ["two", "two, spoilt"])
def test_no_network_outlives_the_group_of_its_processes(
    cases: dict[str, tuple[Path, End]], name: str
) -> None:
    """One that does may wait for ever in the end, once in a hundred times."""
    assert cases[name][1].output.count("networks held: 0") == 2, cases[name][1].output


def start(folder: Path, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "stages/train.py")],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(ROOT / "src"), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)


def test_torchruns_processes_end_with_it_and_go_on_in_one(project: Path, tmp_path: Path) -> None:
    """Killed with its launcher, then stopped by SIGTERM to it: nothing is lost or left behind."""
    # More steps than can be done meanwhile.
    folder = workspace(project, tmp_path / "x", **{**ONE_PASS, "steps": 4000, "log_every": 4})
    process = start(folder, SUPERRES_PROCESSES="2")
    wait_for(folder, "models/.progress/*/state", process)
    process.kill()
    process.communicate(timeout=60)  # ends only when no process holds the pipe any more
    (folder / "reports/train.csv").unlink()
    process = start(folder, SUPERRES_PROCESSES="2")
    wait_for(folder, "reports/train.csv", process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "train: going on from step" in output
    assert "stopped at step" in output
    assert "Traceback" not in output
    assert not (folder / "models/train").exists()
    step = int(output.partition("stopped at step ")[2].partition(";")[0])
    (folder / "reports/train.csv").unlink()
    process = start(folder)
    wait_for(folder, "reports/train.csv", process)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert f"train: going on from step {step}\n" in output


def test_a_launcher_that_is_not_there_is_named(project: Path, tmp_path: Path) -> None:
    process = start(workspace(project, tmp_path / "x"), SUPERRES_LAUNCHER="no-such-launcher -n 2")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "train: error: SUPERRES_LAUNCHER: no-such-launcher" in output
