"""The state of an unfinished training, kept where DVC does not delete it.

`models/.progress/<fingerprint>/` holds `state/` (weights, average, optimiser, log) and the
checkpoints made so far. The fingerprint covers params, data and code: what was trained on something
else is never picked up.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.storage import recovered, replacing_folder, write_json

EDGE_BYTES = 65536
LARGE = (".npy", ".safetensors")
KEPT = "the last good state is kept"

Row = dict[str, float | None]
"""Of the log, by column; None where nothing was measured."""


class State(NamedTuple):
    """Everything that the next step follows from."""

    step: int
    tensors: dict[str, Tensor]
    log: list[Row]
    facts: dict[str, Any]
    """Small things that JSON holds."""


class Progress:
    """The folder of one unfinished training.

    Args:
        root: holds a folder per fingerprint.
        fingerprint: identifies params, data and code.
    """

    def __init__(self, root: str | Path, fingerprint: str) -> None:
        self.root = Path(root)
        self.folder = self.root / fingerprint

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Make the folder and keep other runs of the same training out of it for a block.

        The lock ends with the process, however that ends.

        Raises:
            SuperresError: nowhere to write, or the training is at work already, as when a killed
                `dvc repro` has left it behind.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w", encoding="utf-8")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SuperresError(
                    f"{self.folder}: another process is at this training; let it end, or end it"
                ) from None
            yield

    def checkpoint(self, step: int) -> Path:
        """Return the folder of the checkpoint after a step."""
        return self.folder / f"step-{step:08d}"

    def save(self, state: State) -> None:
        """Write the state, all or nothing; a full disk leaves the last one as it was."""
        with replacing_folder(self.folder / "state") as partial:
            save_file(state.tensors, partial / "state.safetensors")
            facts = {"step": state.step, "log": state.log, "facts": state.facts}
            write_json(partial / "state.json", facts)

    def load(self) -> State | None:
        """Return the last complete state, or None where there is none."""
        folder = recovered(self.folder / "state")
        try:
            facts = json.loads((folder / "state.json").read_text(encoding="utf-8"))
            tensors = load_file(folder / "state.safetensors")
        except FileNotFoundError:
            return None
        except (json.JSONDecodeError, SafetensorError) as error:
            print(f"train: {folder} is damaged ({error}); starting afresh", file=sys.stderr)
            return None
        return State(facts["step"], tensors, facts["log"], facts["facts"])

    def last_step(self) -> int | None:
        """Return the step of the last complete state, without reading its tensors."""
        try:
            text = (self.folder / "state" / "state.json").read_text(encoding="utf-8")
            return int(json.loads(text)["step"])
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def others(self) -> list[Path]:
        """Return the folders of other unfinished trainings."""
        return sorted(
            path
            for path in self.root.glob("*")
            if path != self.folder and not path.name.startswith(".")
        )

    def discard(self) -> None:
        """Delete this training's folder, once its results are in their place.

        Renamed first: half deleted, it would look like a training that can go on.
        """
        doomed = self.folder.with_name(f".{self.folder.name}.discarded")
        shutil.rmtree(doomed, ignore_errors=True)
        self.folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what a full disk or a write-protected folder raises in a block into one clear error."""
    try:
        yield
    except SuperresError as error:  # of a full disk, from whoever writes all or nothing
        raise SuperresError(f"{error}; {KEPT}") from error
    except (OSError, SafetensorError) as error:
        raise SuperresError(f"{folder}: cannot be written: {error}; {KEPT}") from error


def fingerprint(params: Iterable[BaseModel], folders: Iterable[str | Path]) -> str:
    """Return 16 hex digits that change with the params, the data or the code.

    Data are known by their tables and, for pixels and weights, by file names, sizes, and each
    file's first and last 64 KiB: a set of any size is covered in no time, and the tables have each
    tile's sharpness. Code is every module of superres that is loaded.
    """
    digest = hashlib.sha256()
    for section in params:
        digest.update(section.model_dump_json().encode())
    for folder in folders:
        for path in sorted(Path(folder).iterdir()):
            digest.update(f"{path.name}:{path.stat().st_size}".encode())
            digest.update(_edges(path) if path.suffix in LARGE else path.read_bytes())
    for name, module in sorted(sys.modules.items()):
        source: Any = getattr(module, "__file__", None)
        if name.split(".")[0] == "superres" and source:
            digest.update(Path(source).read_bytes())
    return digest.hexdigest()[:16]


def _edges(path: Path) -> bytes:
    with path.open("rb") as file:
        first = file.read(EDGE_BYTES)
        file.seek(max(0, path.stat().st_size - EDGE_BYTES))
        return first + file.read(EDGE_BYTES)
