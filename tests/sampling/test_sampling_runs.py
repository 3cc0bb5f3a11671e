"""The `sample` stage on two processes, killed and going on: the bytes of one left in peace."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from forking import End, Run, story
from support import ROOT, environment, tiny_params, write_yaml
from tiny_trial import build

BATCHES = 6
"""Of 18 test pairs, three in each."""


class Moment(NamedTuple):
    """When a sampling is ended, and what the next one must find."""

    hook: str
    finished: int | None
    """Batches; None where a clock decides."""
    processes: int = 1
    statuses: tuple[int, ...] = (-signal.SIGKILL,)
    kill_after: float | None = None


KEPT = "from superres.sampling.finished_batches import FinishedBatches\n"
SECOND = KEPT + 'if os.environ["RANK"] == "1":\n    after(FinishedBatches, "save", 1)\n'
MOMENTS = {
    "before its first batch": Moment(
        'from superres.sampling.batch import Batch\nafter(Batch, "sample", 1)', 0
    ),
    "after a batch": Moment(KEPT + 'after(FinishedBatches, "save", 1)', 1),
    "with half a batch written": Moment(
        'from numpy.lib import format\nafter(format, "write_array_header_1_0", 2)',
        2,
    ),
    "with a batch that a power cut has emptied": Moment(
        KEPT
        + 'after(FinishedBatches, "save", 1, '
        + "spoil=lambda kept, number, _: os.truncate(kept._path(number), 300))",
        2,
    ),
    "the second of two processes": Moment(SECOND, 4, 2, (1, -signal.SIGKILL)),
    "by a clock": Moment("", None, kill_after=0.15),
    "while the batches are joined": Moment(
        'from superres.core.storage import ShardWriter\nafter(ShardWriter, "extend", 4)', 6
    ),
    "with its result in place": Moment(
        "from superres.core.unfinished import Unfinished\n"
        "Unfinished.discard = lambda self: os.kill(os.getpid(), signal.SIGKILL)",
        6,
    ),
}
"""In this order, each going on from what the one before has left."""
DISK = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
"""


def workspace(trial: Path, folder: Path, **changes: Any) -> Path:
    """Make a folder in which the sample stage can run."""
    params = tiny_params()
    params["sampler"].update(batch=3, **changes)
    write_yaml(folder / "params.yaml", params)
    for name, target in {"data": ("tiles", "pairs"), "models": ("model",)}.items():
        (folder / name).mkdir()
        for each in target:
            (folder / name / each.replace("model", "best")).symlink_to(trial / each)
    return folder


def settled(folder: Path) -> dict[str, bytes]:
    """Return all that is below `data/` but for its inputs, by name."""
    found = (folder / "data").rglob("*")
    inputs = ("tiles", "pairs")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if path.is_file() and path.relative_to(folder).parts[1] not in inputs
    }


class Ends(NamedTuple):
    """What became of samplings with the same params."""

    one: Path
    two: Path
    killed: Path
    full: Path
    ends: dict[str, End]


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    trial = build(tmp_path_factory.mktemp("trial"))
    one, two, killed, full = (
        workspace(trial, tmp_path_factory.mktemp(name)) for name in ("one", "two", "killed", "full")
    )
    runs = {
        "one": Run(str(one)),
        "two": Run(str(two), processes=2),
        **{
            name: Run(str(killed), moment.hook, moment.processes, moment.kill_after)
            for name, moment in MOMENTS.items()
        },
        "last": Run(str(killed)),
        "full": Run(str(full), DISK),
    }
    found = story([run._replace(stage="sample.py") for run in runs.values()], environment())
    return Ends(one, two, killed, full, dict(zip(runs, found, strict=True)))


def test_two_processes_write_the_bytes_of_one(ends: Ends) -> None:
    for name in ("one", "two"):
        assert not any(ends.ends[name].statuses), ends.ends[name].output
    expected = settled(ends.one)
    assert {"data/samples/model-00000.npy", "data/samples/manifest.csv"} < set(expected)
    assert settled(ends.two) == expected


def test_each_of_two_processes_restores_half_of_the_batches(ends: Ends) -> None:
    assert "sample, first of 2: 100%" in ends.ends["two"].output
    assert "72/72" in ends.ends["two"].output  # of 18 tiles, two samples of four steps each
    assert "144/144" in ends.ends["one"].output


@pytest.mark.parametrize("name", MOMENTS)
def test_a_sampling_killed_at_any_moment_keeps_its_finished_batches(ends: Ends, name: str) -> None:
    names = [*MOMENTS, "last"]
    moment, end = MOMENTS[name], ends.ends[name]
    if moment.finished is None:  # a clock may come too late, when all is done
        assert end.status in (-signal.SIGKILL, 0), end.output
        return
    assert tuple(end.statuses) == moment.statuses, end.output
    following = ends.ends[names[names.index(name) + 1]].output
    if moment.finished and names[names.index(name) + 1] != "by a clock":
        assert f"going on, {moment.finished} of {BATCHES} batches are finished\n" in following
    elif not moment.finished:
        assert "going on" not in following


def test_a_damaged_batch_is_named_and_made_again(ends: Ends) -> None:
    output = ends.ends["the second of two processes"].output
    assert output.count("batch-000002.npy is damaged: ") == 1


def test_a_process_that_ends_early_ends_the_others_with_one_line(ends: Ends) -> None:
    output = ends.ends["the second of two processes"].output
    assert "sample: error: another of the processes has ended before its work" in output
    assert "Traceback" not in output


def test_it_ends_in_the_very_bytes_of_one_left_in_peace(ends: Ends) -> None:
    assert ends.ends["last"].status == 0, ends.ends["last"].output
    assert settled(ends.killed) == settled(ends.one)
    assert not list((ends.killed / "data/.progress").iterdir())


def test_a_full_disk_is_one_line(ends: Ends) -> None:
    end = ends.ends["full"]
    assert end.status == 1
    assert "sample: error: data/.progress/" in end.output
    assert "batch-000000.npy: cannot be written: File too large" in end.output
    assert "Traceback" not in end.output
    assert not (ends.full / "data/samples").exists()


def test_the_stage_starts_its_processes_and_ends_with_one_that_fails(ends: Ends) -> None:
    """By torchrun; first with no place for the second process's batch, then going on."""
    folder = ends.full
    (progress,) = (folder / "data/.progress").iterdir()
    in_the_way = progress / "batch-000001.npy"
    in_the_way.mkdir()
    failed = sample_on_two(folder)
    assert failed.returncode == 1, failed.stderr
    lines = [line for line in failed.stderr.splitlines() if "error" in line]
    assert any("batch-000001.npy: cannot be written" in line for line in lines), failed.stderr
    assert not (folder / "data/samples").exists()
    in_the_way.rmdir()
    done = sample_on_two(folder)
    assert done.returncode == 0, done.stderr
    assert settled(folder) == settled(ends.one)


def sample_on_two(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "stages/sample.py")],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(ROOT / "src"), "SUPERRES_PROCESSES": "2"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
