"""What the pictures of a folder were made of, so that what is done is not done again.

The record lies in the folder of the restored pictures, one line of JSON per picture. A picture is
done if its line names the same input, by content, and the same settings and model, and if its file
is still the very one that was written. A line is written before its file: killed in between, the
file is not there, and the picture is restored again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from superres.core.hashing import sha256_of
from superres.core.storage import write_bytes

RECORD = ".superres.jsonl"


class _Line(NamedTuple):
    """What is known of one output. Paths are relative to the folder."""

    planned: str
    """Where the picture was to go; its suffix may not have been able to hold it."""
    sample: int
    output: str
    sha256: str
    """Of the output's bytes."""
    input: str
    """SHA-256 of the input's bytes."""
    settings: str


class Record:
    """The record of one folder.

    Args:
        folder: of the restored pictures; None for no record at all, in which nothing is ever done.
        settings: a digest of all that a picture follows from, but for the input.
        trusted: whether what it says counts; otherwise everything is done again, and noted.
    """

    def __init__(self, folder: Path | None, settings: str, trusted: bool = True) -> None:
        self._path = None if folder is None else folder / RECORD
        self._settings = settings
        self._trusted = trusted
        self._lines: dict[tuple[str, int], _Line] = {}
        for line in self._read():
            self._lines[line.planned, line.sample] = line

    def done(self, source: Path, planned: Path, samples: int) -> dict[int, Path]:
        """Return the outputs that need not be made again, by the number of the sample.

        Args:
            source: the input.
            planned: where it is to go.
            samples: how many are wanted, from 0.

        Raises:
            OSError: the input cannot be read.
        """
        if self._path is None or not self._trusted:
            return {}
        name = self._name(planned)
        known = [self._lines[name, n] for n in range(samples) if (name, n) in self._lines]
        known = [line for line in known if line.settings == self._settings]
        if not known:
            return {}
        digest = sha256_of(source)
        return {
            line.sample: self._path.parent / line.output
            for line in known
            if line.input == digest and self._is_intact(line)
        }

    def recording(
        self, source: Path, planned: Path, sample: int, out: Path
    ) -> Callable[[bytes], None] | None:
        """Return what is to be called with an output's bytes before they are written."""
        if self._path is None:
            return None
        named = partial(_Line, self._name(planned), sample, self._name(out))
        return lambda content: self._append(
            named(hashlib.sha256(content).hexdigest(), sha256_of(source), self._settings)
        )

    def close(self) -> None:
        """Write the record in order, a line per picture that is there.

        So it follows from what is in the folder, however often restoring it was killed.
        """
        if self._path is None or not self._path.exists():
            return
        folder = self._path.parent
        lines = (line for _, line in sorted(self._lines.items()))
        text = "".join(_text(line) for line in lines if (folder / line.output).exists())
        if text.encode() != self._path.read_bytes():
            write_bytes(self._path, text.encode())

    def _read(self) -> list[_Line]:
        if self._path is None or not self._path.is_file():
            return []
        lines = []
        for text in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                lines.append(_Line(**json.loads(text)))
            except (json.JSONDecodeError, TypeError):
                continue  # cut off by a kill: its picture was not written
        return lines

    def _append(self, line: _Line) -> None:
        assert self._path is not None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            # Of its own, whatever a kill has left of the last one.
            file.write(f"\n{_text(line)}" if file.tell() else _text(line))
            file.flush()
            os.fsync(file.fileno())
        self._lines[line.planned, line.sample] = line

    def _is_intact(self, line: _Line) -> bool:
        assert self._path is not None
        try:
            return sha256_of(self._path.parent / line.output) == line.sha256
        except OSError:
            return False

    def _name(self, path: Path) -> str:
        assert self._path is not None
        return path.relative_to(self._path.parent).as_posix()


def _text(line: _Line) -> str:
    facts: dict[str, Any] = line._asdict()
    return json.dumps(facts, ensure_ascii=True) + "\n"
