"""Which files are restored, and where each goes."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from superres.core.errors import SuperresError
from superres.restoration.formats import FORMATS, READABLE

Identity = tuple[int, int]
"""Device and number of a file: the same under every name it has."""


@dataclass
class Plan:
    """What is to be done.

    Args:
        tasks: pairs of an input and where it goes, if its format can hold the result.
        passed_over: files in folders whose names are not those of pictures.
        folder: that gets a record of what is done; none for one picture that was named.
    """

    tasks: list[tuple[Path, Path]] = field(default_factory=list)
    passed_over: int = 0
    folder: Path | None = None

    def inputs(self) -> dict[Identity, Path]:
        """Return every input by its identity, as far as they are there."""
        return {key: source for source, _ in self.tasks if (key := identity(source)) is not None}


def plan(inputs: Sequence[str], output: str) -> Plan:
    """Return what is restored to where.

    A single picture goes to a file if the output's name ends like a picture's; everything else
    goes into a folder: files under their names, folders mirrored, globs as the folder before their
    first wildcard. What lies in the output folder is no input.

    Raises:
        SuperresError: an input that is not there, a glob without a match, nothing to restore, two
            inputs that would have one output, an output whose suffix no format has.
    """
    out = Path(output)
    found = Plan()
    files: list[tuple[Path, Path]] = []
    for text in inputs:
        files += _files_of(text, out, found)
    if not files:
        raise SuperresError(f"{', '.join(inputs)}: no picture to restore")
    single = len(inputs) == 1 and len(files) == 1 and not Path(inputs[0]).is_dir()
    if single and out.suffix and not out.is_dir():
        if out.suffix.lower() not in READABLE:
            known = ", ".join(sorted(FORMATS))
            raise SuperresError(f"{out}: unknown format {out.suffix!r}, known: {known}")
        found.tasks = [(files[0][0], out)]
        return found
    if out.exists() and not out.is_dir():
        raise SuperresError(f"{out}: is a file; several pictures go into a folder")
    found.tasks = list(dict.fromkeys((source, out / name) for source, name in files))
    _refuse_collisions(found.tasks)
    if len(inputs) > 1 or Path(inputs[0]).is_dir() or not Path(inputs[0]).exists():
        found.folder = out
    return found


def identity(path: Path) -> Identity | None:
    """Return what a file is, links followed, or None where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def free(source: Path, out: Path, overwrite: bool, inputs: Mapping[Identity, Path]) -> None:
    """Refuse an output that is an input, whatever it is called, or that is there already.

    Args:
        source: what is restored.
        out: where it is to go.
        overwrite: whether to replace what is there.
        inputs: all pictures to be restored; see `Plan.inputs`.

    Raises:
        SuperresError: naming it.
    """
    if not (out.exists() or out.is_symlink()):
        return
    key = identity(out)
    if key == identity(source) or out.resolve() == source.resolve():
        raise SuperresError(f"{out}: is the input itself, which is never overwritten")
    if key is not None and key in inputs:
        raise SuperresError(f"{out}: is another input, {inputs[key]}, which is never overwritten")
    if out.is_dir():
        raise SuperresError(f"{out}: is a folder")
    if not overwrite:
        raise SuperresError(f"{out}: exists already; --overwrite replaces it")


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written to, before time is spent; makes nothing.

    Raises:
        SuperresError: naming the folder.
    """
    nearest = folder.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir():
        raise SuperresError(f"{nearest}: is a file where a folder is wanted")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise SuperresError(f"{nearest}: cannot be written to")


def _files_of(text: str, out: Path, found: Plan) -> list[tuple[Path, Path]]:
    """Return files and their names in the output folder."""
    path = Path(text)
    if path.is_dir():
        return _pictures_in(path, out, found)
    if path.exists():
        return [(path, Path(path.name))]
    if not glob.has_magic(text):
        raise SuperresError(f"{text}: not found")
    base = Path(*_before_wildcards(path))
    matches = sorted(Path(match) for match in glob.glob(text, recursive=True))  # noqa: PTH207
    if not matches:
        raise SuperresError(f"{text}: matches nothing")
    return [
        (match, match.relative_to(base))
        for match in matches
        if match.is_file() and not _within(match, out)
    ]


def _pictures_in(folder: Path, out: Path, found: Plan) -> list[tuple[Path, Path]]:
    pictures = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not path.is_file() or hidden or (_within(path, out) and not _within(folder, out)):
            continue
        if path.suffix.lower() in READABLE:
            pictures.append((path, path.relative_to(folder)))
        else:
            found.passed_over += 1
    return pictures


def _before_wildcards(path: Path) -> list[str]:
    parts: list[str] = []
    for part in path.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return parts


def _within(path: Path, folder: Path) -> bool:
    return folder.resolve() in (path.resolve(), *path.resolve().parents)


def _refuse_collisions(tasks: Sequence[tuple[Path, Path]]) -> None:
    seen: dict[Path, Path] = {}
    for source, out in tasks:
        if out in seen and seen[out] != source:
            raise SuperresError(f"{seen[out]} and {source} would both become {out}")
        seen[out] = source
