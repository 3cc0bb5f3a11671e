"""Tile shards (NumPy's own `.npy`, memory-mapped), manifests, and writing that is all or nothing.

A folder of tiles holds `{prefix}-00000.npy` shards (uint8, N x H x W x 3) and `manifest.csv` with
one row per tile whose columns `shard` and `index` say where its pixels are.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from superres.core.errors import SuperresError
from superres.core.manifests import ADDED_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.csv"
MAX_SHARD_BYTES = 512 * 2**20
ROWS_AT_ONCE = 20_000
"""Of a table that is written."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No room on the disk, in the user's quota, or under the limit on a file's size."""


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` that takes its place when the block ends without error.

    Killed at any moment, `path` is either what it was or complete; killed between the two renames
    at the end, what it was lies beside it, and the next writer or `recovered` puts it back.

    Raises:
        SuperresError: no room; `path` is what it was.
    """
    path = recovered(path)
    partial = path.with_name(f".{path.name}.partial")
    previous = path.with_name(f".{path.name}.previous")
    for leftover in (partial, previous):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with _room_for(path):
            yield partial
            for file in partial.rglob("*"):
                if file.is_file():
                    with file.open("rb") as written:
                        os.fsync(written.fileno())
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if path.exists():
        path.rename(previous)
    partial.rename(path)
    shutil.rmtree(previous, ignore_errors=True)


@contextmanager
def _room_for(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise SuperresError(f"{path}: cannot be written: {error.strerror}") from error
        raise


def recovered(path: str | Path) -> Path:
    """Return the path, first put back what a killed `replacing_folder` had set aside."""
    path = Path(path)
    previous = path.with_name(f".{path.name}.previous")
    if not path.exists() and previous.exists():
        previous.rename(path)
    return path


@contextmanager
def replacing_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Yield a file under a temporary name that is flushed to the disk and renamed at the end.

    Where that fails, the temporary file is gone and the old one untouched.

    Raises:
        SuperresError: no room on the disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with _room_for(path), partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file, all or nothing.

    Raises:
        SuperresError: no room on the disk.
    """
    with replacing_file(path) as file:
        file.write(content)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, all or nothing."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON, keys in the order given; NaN and infinity are errors (ValueError)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_csv(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV; floats keep 8 significant digits: small, stable files.

    A part of it at a time: the text of a whole manifest would be larger than the manifest.
    """
    with replacing_file(path) as file:
        for begin in range(0, max(1, len(frame)), ROWS_AT_ONCE):
            part = frame.iloc[begin : begin + ROWS_AT_ONCE]
            text = part.to_csv(
                index=False, header=begin == 0, float_format="%.8g", lineterminator="\n"
            )
            file.write(text.encode())


class ShardWriter:
    """Appends tiles of one size to `{prefix}-00000.npy`, `{prefix}-00001.npy`, ... of a folder.

    No tile is kept: rows go straight to the file and the header, which NumPy pads for this, gets
    the final count at the end of each shard.
    """

    def __init__(self, folder: Path, prefix: str, max_bytes: int = MAX_SHARD_BYTES) -> None:
        self._folder = folder
        self._prefix = prefix
        self._max_bytes = max_bytes
        self._shape: tuple[int, ...] | None = None
        self._capacity = 0
        self._file: IO[bytes] | None = None
        self._shards = 0
        self._count = 0

    def append(self, tile: np.ndarray) -> tuple[str, int]:
        """Store a tile (uint8, H x W x 3) and return its shard's file name and index in it."""
        names, indices = self.extend(tile[np.newaxis])
        return names[0], indices[0]

    def extend(self, tiles: np.ndarray) -> tuple[list[str], list[int]]:
        """Store tiles (uint8, N x H x W x 3) and return each one's shard and index in it."""
        if tiles.dtype != np.uint8 or tiles.ndim != 4:
            raise ValueError(f"a tile is uint8, H x W x 3; got {tiles.dtype}, {tiles.shape[1:]}")
        if self._shape is None:
            self._shape = tiles.shape[1:]
            self._capacity = max(1, self._max_bytes // math.prod(self._shape))
        if tiles.shape[1:] != self._shape:
            raise ValueError(f"tiles of {self._prefix} are {self._shape}, got {tiles.shape[1:]}")
        names: list[str] = []
        indices: list[int] = []
        while len(tiles):
            if self._file is None or self._count == self._capacity:
                self.close()
                self._file = (self._folder / f"{self._prefix}-{self._shards:05d}.npy").open("wb")
                self._shards += 1
                self._count = 0
                self._write_header()
            some, tiles = np.split(tiles, [self._capacity - self._count])
            self._file.write(np.ascontiguousarray(some).data)
            names += [f"{self._prefix}-{self._shards - 1:05d}.npy"] * len(some)
            indices += range(self._count, self._count + len(some))
            self._count += len(some)
        return names, indices

    def _write_header(self) -> None:
        assert self._file is not None and self._shape is not None
        self._file.seek(0)
        header = {"descr": "|u1", "fortran_order": False, "shape": (self._count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def close(self) -> None:
        """Finish the shard that is open."""
        if self._file is not None:
            self._write_header()
            self._file.close()
            self._file = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Shards:
    """Read access to the shards of a folder: `shards[name, index]` is a uint8 tile, not copied."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._maps: dict[str, np.ndarray] = {}

    def __getitem__(self, place: tuple[str, int]) -> np.ndarray:
        name, index = place
        if name not in self._maps:
            path = self._folder / name
            try:
                mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise SuperresError(f"{path}: not a readable shard: {error}") from error
            self._maps[name] = mapped.view(np.ndarray)  # NumPy's memmap takes longer to index
        return self._maps[name][index]

    def together(self, names: list[str], indices: list[int]) -> np.ndarray:
        """Return tiles, uint8, N x H x W x 3; those that lie one after the other are not copied."""
        first, last = indices[0], indices[-1]
        if names.count(names[0]) == len(names) and indices == list(range(first, last + 1)):
            self[names[0], last]  # an index beyond the end is an error, a slice is cut off there
            return self._maps[names[0]][first : last + 1]
        return np.stack([self[place] for place in zip(names, indices, strict=True)])

    def stack(self, rows: pd.DataFrame, shard: str = "shard", index: str = "index") -> np.ndarray:
        """Return the tiles of manifest rows as one array, uint8, N x H x W x 3."""
        places = zip(rows[shard], rows[index], strict=True)
        return np.stack([self[name, int(i)] for name, i in places])


def read_manifest(folder: str | Path, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return `manifest.csv` of a folder, with those of `columns` that were added later.

    Raises:
        SuperresError: no manifest, no row, or a missing column.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise SuperresError(f"{path}: not found; the stage that writes {folder} has not run")
    import pandas as pd  # noqa: PLC0415 - a third of a second that restoring does without

    frame = pd.read_csv(path, dtype={"id": str, "source": str, "split": str}, keep_default_na=False)
    for name in columns:
        if name in ADDED_COLUMNS and name not in frame.columns:
            frame[name] = ADDED_COLUMNS[name]
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise SuperresError(f"{path}: lacks the columns {', '.join(missing)}")
    if frame.empty:
        raise SuperresError(f"{path}: has no rows")
    return frame


def rows_of_split(manifest: pd.DataFrame, split: str, folder: str | Path) -> pd.DataFrame:
    """Return the manifest's rows of one split, renumbered; an empty split is an error."""
    rows = manifest[manifest["split"] == split].reset_index(drop=True)
    if rows.empty:
        raise SuperresError(f"{folder}/{MANIFEST}: no tile in split {split!r}")
    return rows
