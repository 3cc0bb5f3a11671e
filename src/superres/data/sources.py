"""Finding photographs: the files under `data.source`, in one order on every machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from superres.errors import SuperresError
from superres.images import SUFFIXES


class Source(NamedTuple):
    """A file that may be a photograph."""

    name: str
    """Path below `data.source` with `/` between its parts; what the manifests call it."""
    path: Path


def find_photographs(folder: str | Path) -> list[Source]:
    """Return the files with an image's suffix in a folder and its subfolders, sorted by name.

    Hidden files and folders are passed over, and so are links to folders, which may form circles.
    The suffix counts in either case.

    Raises:
        SuperresError: no such folder, or no such file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "not a folder" if folder.exists() else "no such folder"
        raise SuperresError(f"data.source: {folder}: {found}")
    sources = []
    for parent, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(parent, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                sources.append(Source(_printable(path.relative_to(folder)), path))
    if not sources:
        raise SuperresError(
            f"data.source: {folder}: holds no photograph "
            f"(no {' '.join(sorted(SUFFIXES))} in it or its subfolders)"
        )
    return sorted(sources)


def _printable(path: Path) -> str:
    """Return a path as UTF-8 text; bytes of a name that are not UTF-8 become escapes."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _unreadable(error: OSError) -> None:
    raise SuperresError(f"data.source: {error.filename}: cannot be read: {error.strerror}")
