"""Short names of what a computation follows from, and digests of the code that carries it out."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel

PACKAGE = Path(__file__).resolve().parent.parent
EDGE_BYTES = 65536
LARGE = (".npy", ".safetensors")
DIGITS = 16


def fingerprint(params: Iterable[BaseModel], folders: Iterable[str | Path], *versions: str) -> str:
    """Return 16 hex digits that change with params, data or versions.

    Data are known by their tables and, for pixels and weights, by file names, sizes, and each
    file's first and last 64 KiB: a set of any size is covered in no time, and the tables have each
    tile's sharpness.

    Args:
        params: sections, in a fixed order.
        folders: of data; their files, not those of folders in them.
        versions: of formats or code.
    """
    digest = hashlib.sha256()
    for section in params:
        digest.update(section.model_dump_json().encode())
    for folder in folders:
        for path in sorted(Path(folder).iterdir()):
            digest.update(f"{path.name}:{path.stat().st_size}".encode())
            digest.update(_edges(path) if path.suffix in LARGE else path.read_bytes())
    for version in versions:
        digest.update(f"version {version}\n".encode())
    return digest.hexdigest()[:DIGITS]


def source_digests() -> dict[str, str]:
    """Return a digest of each source file in the rooms that are loaded, by `room/file.py`.

    Rooms, not modules: which modules of a room are loaded depends on what has been done so far.
    """
    loaded = [name.split(".") for name in sys.modules if name.startswith("superres.")]
    return {
        path.relative_to(PACKAGE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]
        for room in sorted({names[1] for names in loaded})
        for path in sorted((PACKAGE / room).rglob("*.py"))
    }


def changed_files(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the files that were changed, added or removed between two `source_digests`, sorted.

    Rooms that only one of them knows are left out: they were not loaded then, or are not now.
    """
    rooms = {_room(name) for name in before} & {_room(name) for name in now}
    names = sorted({*before, *now})
    return [n for n in names if _room(n) in rooms and before.get(n) != now.get(n)]


def _room(name: str) -> str:
    return name.partition("/")[0]


def _edges(path: Path) -> bytes:
    with path.open("rb") as file:
        first = file.read(EDGE_BYTES)
        file.seek(max(0, path.stat().st_size - EDGE_BYTES))
        return first + file.read(EDGE_BYTES)
