"""Unfinished work, kept where DVC does not delete it, under a name that says what it follows from.

A stage that was killed finds it there and goes on; done on something else, it has another name.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from superres.core.errors import SuperresError


class Unfinished:
    """The folder of one piece of unfinished work.

    Args:
        root: holds a folder per piece.
        name: of this one's folder; see `superres.core.fingerprints.fingerprint`.
        work: what it is, for messages.
    """

    def __init__(self, root: str | Path, name: str, work: str) -> None:
        self.root = Path(root)
        self.folder = self.root / name
        self._work = work

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and keep other runs of the same work out of it for a block.

        The lock ends with the process, however that ends.

        Raises:
            SuperresError: nowhere to write, or the work is being done already, as when a killed
                `dvc repro` has left its stage behind.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w", encoding="utf-8")
        except OSError as error:
            raise SuperresError(f"{self.folder}: cannot be written: {error}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SuperresError(
                    f"{self.folder}: another process is at this {self._work}; let it end, or end it"
                ) from None
            yield

    def others(self) -> list[Path]:
        """Return the folders of other unfinished work of this kind."""
        return sorted(
            path
            for path in self.root.glob("*")
            if path != self.folder and not path.name.startswith(".")
        )

    def size_of_others(self) -> int:
        """Return how many bytes the others' files have."""
        found = (file for other in self.others() for file in other.rglob("*"))
        return sum(file.stat().st_size for file in found if file.is_file())

    def discard(self) -> None:
        """Delete this folder, once the results are in their place.

        Renamed first: half deleted, it would look like work that can go on.
        """
        doomed = self.folder.with_name(f".{self.folder.name}.discarded")
        shutil.rmtree(doomed, ignore_errors=True)
        self.folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
