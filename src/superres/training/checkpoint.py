"""The state of an unfinished training, kept where DVC does not delete it.

`models/.progress/<fingerprint>/` holds `state/` (weights, averages, optimiser, log) and the
checkpoints made so far. The fingerprint covers params, data and `TRAINING_FORMAT`: what was trained
on something else is never continued. Code is not part of it, but digests of it are kept with the
state, so that a training that goes on can say what has changed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.fingerprints import changed_files, fingerprint, source_digests
from superres.core.state_dicts import save_tensors
from superres.core.storage import recovered, replacing_folder, write_json
from superres.core.unfinished import Unfinished
from superres.training import messages
from superres.training.monitor import Row

TRAINING_FORMAT = 1
"""Raise it with every change to what training computes, or to what its state holds: unfinished
trainings then start afresh, instead of ending as a mixture of both."""


class State(NamedTuple):
    """Everything that the next step follows from."""

    step: int
    tensors: dict[str, Tensor]
    log: list[Row]
    facts: dict[str, Any]
    """Small things that JSON holds."""


class Progress(Unfinished):
    """The folder of one unfinished training.

    Args:
        root: holds a folder per training.
        name: of this one's folder; see `training_name`.
    """

    def __init__(self, root: str | Path, name: str) -> None:
        super().__init__(root, name, "training")
        # Of the code that runs, not of what somebody makes of its files in the meantime.
        self._code = source_digests()

    def checkpoint(self, step: int) -> Path:
        """Return the folder of the checkpoint after a step."""
        return self.folder / f"step-{step:08d}"

    def save(self, state: State) -> None:
        """Write the state, all or nothing; a full disk leaves the last one as it was."""
        with replacing_folder(self.folder / "state") as partial:
            save_tensors(state.tensors, partial / "state.safetensors")
            facts = {"step": state.step, "log": state.log, "facts": state.facts}
            write_json(partial / "state.json", {**facts, "code": self._code})

    def load(self) -> State | None:
        """Return the last complete state, or None where there is none."""
        folder = recovered(self.folder / "state")
        try:
            facts = json.loads((folder / "state.json").read_text(encoding="utf-8"))
            tensors = load_file(folder / "state.safetensors")
        except FileNotFoundError:
            return None
        except (json.JSONDecodeError, SafetensorError) as error:
            print(f"train: {messages.damaged(folder, error)}", file=sys.stderr)
            return None
        return State(facts["step"], tensors, facts["log"], facts["facts"])

    def last_step(self) -> int | None:
        """Return the step of the last complete state, without reading its tensors."""
        try:
            text = (self.folder / "state" / "state.json").read_text(encoding="utf-8")
            return int(json.loads(text)["step"])
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def changed_code(self) -> list[str]:
        """Return the source files that differ from those that left the last complete state."""
        text = (self.folder / "state" / "state.json").read_text(encoding="utf-8")
        return changed_files(json.loads(text)["code"], self._code)

    @property
    def previews(self) -> Path:
        """The folder of the grids drawn so far."""
        return self.folder / "previews"

    def publish(self, log: list[Row], out: Path) -> None:
        """Put the checkpoints of a finished training in their place, then forget the progress."""
        with replacing_folder(out) as new:
            for row in log:
                if "val_loss" in row:
                    folder = self.checkpoint(int(row["step"] or 0))
                    # Linked, not moved: progress must stay complete until the results are there.
                    shutil.copytree(folder, new / folder.name, copy_function=_link)
        self.discard()


def training_name(params: Iterable[BaseModel], folders: Iterable[str | Path]) -> str:
    """Return what identifies an unfinished training: its params, its data, `TRAINING_FORMAT`."""
    return fingerprint(params, folders, f"training {TRAINING_FORMAT}")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what a full disk or a write-protected folder raises in a block into one clear error."""
    try:
        yield
    except SuperresError as error:  # of a full disk, from whoever writes all or nothing
        raise SuperresError(f"{error}; {messages.KEPT}") from error
    except (OSError, SafetensorError) as error:
        raise SuperresError(messages.not_writable(folder, error)) from error


def _link(source: str, target: str) -> None:
    """Give a file a second name, or copy it where the file system knows no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
