"""Overlapping windows over a picture, with weights that add up to one at every pixel."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.tensors import moved

OVERLAP = 0.25
"""Share of a window's edge that it has in common with the next, at least."""


class Window(NamedTuple):
    """A window's first row and column in the restored picture, in pixels."""

    row: int
    column: int


class Grid:
    """Windows of one size that cover a picture.

    A picture that is smaller than a window in one direction has windows of its own size there.

    Args:
        size: height and width of the restored picture in pixels, multiples of `scale`.
        window: a window's edge, in pixels of the restored picture.
        scale: of the model; windows begin and end on pixels of the input.

    Raises:
        SuperresError: a window that is no positive multiple of the scale.
    """

    def __init__(self, size: tuple[int, int], window: int, scale: int) -> None:
        if window < scale or window % scale:
            raise SuperresError(
                f"window: must be a positive multiple of the model's scale {scale}, got {window}"
            )
        self.size = size
        self.shape = (min(window, size[0]), min(window, size[1]))
        rows, columns = (
            _starts(length, edge, scale) for length, edge in zip(size, self.shape, strict=True)
        )
        self.windows = [Window(row, column) for row in rows for column in columns]
        self._rows = dict(zip(rows, _weights(rows, self.shape[0], size[0]), strict=True))
        self._columns = dict(zip(columns, _weights(columns, self.shape[1], size[1]), strict=True))
        self._on_devices: dict[torch.device, list[dict[int, Tensor]]] = {}

    def __len__(self) -> int:
        return len(self.windows)

    def weights(self, window: Window, device: torch.device | str = "cpu") -> Tensor:
        """Return what each pixel of a window counts, float32, (height, width), in (0, 1]."""
        rows, columns = self._edges(torch.device(device))
        return torch.outer(rows[window.row], columns[window.column]).float()

    def _edges(self, device: torch.device) -> list[dict[int, Tensor]]:
        """Return the weights along both edges by where windows begin; copied to a device once."""
        if device not in self._on_devices:
            self._on_devices[device] = [
                {start: moved(torch.from_numpy(weight), device) for start, weight in edge.items()}
                for edge in (self._rows, self._columns)
            ]
        return self._on_devices[device]


def _starts(length: int, edge: int, scale: int) -> list[int]:
    """Return where windows begin, evenly spread, the last ending where the picture ends."""
    if length == edge:
        return [0]
    stride = max(scale, math.floor(edge * (1 - OVERLAP)))
    count = 1 + math.ceil((length - edge) / stride)
    places = np.linspace(0, (length - edge) // scale, count)
    return [int(place) * scale for place in places.round()]


def _weights(starts: list[int], edge: int, length: int) -> list[np.ndarray]:
    """Return a raised cosine over each overlap, 1 outside of all; their sum is 1 everywhere.

    A window's outermost pixels, where the network saw one side only, count next to nothing.
    """
    raw = []
    for index, start in enumerate(starts):
        weight = np.ones(edge)
        if index:
            _ramp(weight, starts[index - 1] + edge - start)
        if index < len(starts) - 1:
            _ramp(weight[::-1], start + edge - starts[index + 1])
        raw.append(weight)
    total = np.zeros(length)
    for start, weight in zip(starts, raw, strict=True):
        total[start : start + edge] += weight
    return [weight / total[start : start + edge] for start, weight in zip(starts, raw, strict=True)]


def _ramp(weight: np.ndarray, overlap: int) -> None:
    rise = (np.arange(overlap) + 0.5) / overlap
    weight[:overlap] *= np.sin(rise * math.pi / 2) ** 2
