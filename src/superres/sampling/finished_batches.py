"""Restored batches of an unfinished sampling, a file each, so that a killed one can go on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from superres.core.errors import SuperresError
from superres.core.storage import replacing_file


class FinishedBatches:
    """The batches that a sampling is divided into, and those of them that are restored.

    A batch is always of the same pairs, whatever the number of processes and however often the
    sampling was killed: what is computed together may decide how floats are rounded.

    Args:
        folder: that holds them.
        pairs: how many there are in all.
        size: pairs in a batch, but for the last.
        contenders: versions of each tile.
        shape: of a restored tile, (H, W, 3).
    """

    def __init__(
        self, folder: Path, pairs: int, size: int, contenders: int, shape: Sequence[int]
    ) -> None:
        self._folder = folder
        self._contenders, self._shape = contenders, tuple(shape)
        self.items = [np.arange(first, min(first + size, pairs)) for first in range(0, pairs, size)]
        """Positions of each batch's pairs."""
        self.count = len(self.items)

    def finished(self) -> list[bool]:
        """Return of each batch whether it is there, whole; say which files are damaged."""
        return [self._is_finished(number) for number in range(self.count)]

    def save(self, number: int, restored: Sequence[np.ndarray]) -> None:
        """Keep a batch: tiles of each contender, uint8, (B, H, W, 3); all or nothing.

        Raises:
            SuperresError: nowhere to write.
        """
        path, tiles = self._path(number), np.stack(restored)
        try:
            with replacing_file(path) as file:
                header = np.lib.format.header_data_from_array_1_0(tiles)
                np.lib.format.write_array_header_1_0(file, header)
                file.write(tiles.data)  # NumPy's own writing does not say that a disk is full
        except OSError as error:
            raise SuperresError(f"{path}: cannot be written: {error}") from error

    def load(self, number: int) -> np.ndarray:
        """Return a batch, uint8, (contenders, B, H, W, 3), in its file.

        Raises:
            OSError: it is not there.
            ValueError: it is damaged.
        """
        path = self._path(number)
        tiles = np.load(path, mmap_mode="r", allow_pickle=False)
        expected = (self._contenders, len(self.items[number]), *self._shape)
        if (tiles.shape, tiles.dtype) != (expected, np.uint8):
            raise ValueError(f"has {tiles.dtype} of shape {tiles.shape}, not uint8 of {expected}")
        return np.asarray(tiles)

    def _path(self, number: int) -> Path:
        return self._folder / f"batch-{number:06d}.npy"

    def _is_finished(self, number: int) -> bool:
        try:
            self.load(number)
        except FileNotFoundError:
            return False
        except (OSError, ValueError, EOFError) as error:
            print(f"sample: {self._path(number)} is damaged: {error}", file=sys.stderr)
            return False
        return True
