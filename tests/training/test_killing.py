"""One training, killed and stopped again and again, against the same one left in peace."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from trainings import settled, workspace

from forking import End, Run, story
from support import environment


class Moment(NamedTuple):
    """When the training is ended, and what it must leave."""

    hook: str
    state: int | None
    """Steps that are kept afterwards."""
    status: int = -signal.SIGKILL
    kill_after: float | None = None


HALF = """
def half(path):
    file = path if path.is_file() else path / "weights.safetensors"
    os.truncate(file, file.stat().st_size // 2)
"""
MOMENTS = {
    "before its first state": Moment(
        """
from superres.training.trainer import Trainer
after(Trainer, "advance", 2)
""",
        None,
    ),
    "with half a checkpoint written": Moment(
        HALF
        + """
import superres.model.folder as folders
after(folders, "save_tensors", 2, spoil=lambda tensors, path: half(path))
""",
        4,
    ),
    "with a checkpoint but not its averages": Moment(
        """
import superres.training.trainer as trainer
after(trainer, "save_model", 1)
""",
        4,
    ),
    "with half a state written": Moment(
        HALF
        + """
import superres.training.checkpoint as checkpoints
after(checkpoints, "save_tensors", 2, spoil=lambda tensors, path: half(path))
""",
        8,
    ),
    "between two states": Moment(
        """
from pathlib import Path
after(Path, "rename", 1, when=lambda path, *_: path.name == "state")
""",
        8,
    ),
    "after a state": Moment(
        """
from superres.training.checkpoint import Progress
after(Progress, "save", 1)
""",
        12,
    ),
    "while it draws": Moment(
        """
import superres.training.previews as previews
after(previews, "encode_png", 1)
""",
        12,
    ),
    "at SIGTERM": Moment(
        """
from superres.training.trainer import Trainer
after(Trainer, "advance", 1, signal.SIGTERM)
""",
        13,
        128 + signal.SIGTERM,
    ),
    "at Ctrl-C": Moment(
        """
from superres.training.trainer import Trainer
after(Trainer, "advance", 1, signal.SIGINT)
""",
        14,
        128 + signal.SIGINT,
    ),
    "on a disk without room for its state": Moment(
        """
import resource
from superres.training.checkpoint import Progress
real = Progress.save
def save(self, state):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    real(self, state)
Progress.save = save
""",
        14,
        1,
    ),
    "in a folder that has become read-only": Moment(
        """
import superres.core.storage as storage
from pathlib import Path
from superres.training.checkpoint import Progress
real, mkdir = Progress.save, Path.mkdir
def refused(path, *given, **named):
    if path.name == ".state.partial":
        raise PermissionError(13, "Permission denied", str(path))
    mkdir(path, *given, **named)
Path.mkdir = refused
""",
        14,
        1,
    ),
    "by a clock": Moment("", 14, kill_after=0.6),
    "by a clock, later": Moment("", 14, kill_after=1.2),
    "while it delivers": Moment(
        """
from superres.training.checkpoint import Progress
Progress.discard = lambda self: os.kill(os.getpid(), signal.SIGKILL)
""",
        20,
    ),
}
"""In this order, each time going on from what the one before has left."""
CLOCKED = [name for name, moment in MOMENTS.items() if moment.kill_after]
CHANGES = {
    "steps": 20,
    "checkpoint_every": 4,
    "log_every": 3,
    "fresh_corruptions": 0.5,
    "previews": {"every": 8, "tiles": 2},
}


class Ends(NamedTuple):
    """What became of two trainings with the same params."""

    through: Path
    killed: Path
    moments: dict[str, End]
    last: End


@pytest.fixture(scope="module")
def ends(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Ends:
    root = tmp_path_factory.mktemp("killing")
    through, killed = (workspace(project, root / n, **CHANGES) for n in ("through", "killed"))
    runs = [
        Run(str(killed), moment.hook, kill_after=moment.kill_after) for moment in MOMENTS.values()
    ]
    found = story([Run(str(through)), *runs, Run(str(killed))], environment())
    assert found[0].status == 0, found[0].output
    return Ends(through, killed, dict(zip(MOMENTS, found[1:], strict=False)), found[-1])


@pytest.mark.parametrize("name", MOMENTS)
def test_a_training_ended_at_any_moment_keeps_its_last_state(ends: Ends, name: str) -> None:
    names = list(MOMENTS)
    moment, place = MOMENTS[name], names.index(name)
    end = ends.moments[name]
    # A clock may come too late, when all is done.
    assert end.status in ((moment.status, 0) if name in CLOCKED else (moment.status,)), end.output
    following = ends.moments[names[place + 1]] if place + 1 < len(names) else ends.last
    if name in CLOCKED or (place + 1 < len(names) and names[place + 1] in CLOCKED):
        return  # how far those came is not known
    if moment.state is None:
        assert "going on" not in following.output
    else:
        assert f"train: going on from step {moment.state}\n" in following.output


def test_signals_are_reported_and_deliver_nothing(ends: Ends) -> None:
    for name, step in (("at SIGTERM", 13), ("at Ctrl-C", 14)):
        assert f"train: stopped at step {step}; run again to go on" in ends.moments[name].output


@pytest.mark.parametrize(
    "name", ["on a disk without room for its state", "in a folder that has become read-only"]
)
def test_nowhere_to_write_is_one_line_that_says_what_is_kept(ends: Ends, name: str) -> None:
    lines = [line for line in ends.moments[name].output.splitlines() if "error" in line]
    assert len(lines) == 1
    assert lines[0].startswith("train: error: models/.progress/")
    assert "cannot be written" in lines[0]
    assert lines[0].endswith("the last good state is kept")
    assert "Traceback" not in ends.moments[name].output


def test_it_ends_in_the_very_weights_of_one_left_in_peace(ends: Ends) -> None:
    assert ends.last.status == 0, ends.last.output
    theirs, ours = settled(ends.through), settled(ends.killed)
    assert ours.keys() == theirs.keys()
    for name, content in theirs.items():
        assert ours[name] == content, name
    assert {name for name in theirs if name.startswith("models/train/step-00000020")}
    assert not list((ends.killed / "models/.progress").iterdir())
    last = "models/train/step-00000020/weights.safetensors"
    first = "models/train/step-00000004/weights.safetensors"
    moved = [load_file(ends.killed / name) for name in (first, last)]
    assert any(not torch.equal(moved[0][name], tensor) for name, tensor in moved[1].items())
