"""Overlapping windows over a picture, with weights that add up to one at every pixel."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.tensors import moved

OVERLAP = 1 / 8
"""Share of the largest square window's edge that neighbours have in common, at least ..."""
LEAST_OVERLAP = 16
"""... but no fewer pixels than these, or a quarter of a small window's edge."""
CHEAP = 1.25
"""Pixels of all windows over those of the picture, that are not exceeded where it can be helped."""


class Window(NamedTuple):
    """A window's first row and column in the restored picture, in pixels."""

    row: int
    column: int


class Grid:
    """Windows of one shape that cover a picture.

    The shape follows from the picture: of all that hold no more pixels than the largest square,
    the one with which the network evaluates the fewest pixels in all.

    Args:
        size: height and width of the restored picture in pixels, multiples of `scale`.
        window: edge of the largest square window, in pixels of the restored picture.
        scale: of the model; windows begin and end on pixels of the input.
        multiple: what the network fills up a window's edges to; that costs as much as pixels.

    Raises:
        SuperresError: a window that is no positive multiple of the scale.
    """

    def __init__(self, size: tuple[int, int], window: int, scale: int, multiple: int = 1) -> None:
        if window < scale or window % scale:
            raise SuperresError(
                f"window: must be a positive multiple of the model's scale {scale}, got {window}"
            )
        self.size = size
        self.multiple = multiple
        cut = Cut(window, scale, multiple)
        counts = cut.best(size)
        edges = [cut.edge(length, count) for length, count in zip(size, counts, strict=True)]
        self.shape = edges[0], edges[1]
        rows, columns = map(cut.starts, size, self.shape, counts)
        self.windows = [Window(row, column) for row in rows for column in columns]
        self._rows = dict(zip(rows, _weights(rows, self.shape[0], size[0]), strict=True))
        self._columns = dict(zip(columns, _weights(columns, self.shape[1], size[1]), strict=True))
        self._on_devices: dict[torch.device, list[dict[int, Tensor]]] = {}

    def __len__(self) -> int:
        return len(self.windows)

    def at_once(self, pixels: int) -> int:
        """Return how many windows are evaluated at once with so many pixels, one at least."""
        height, width = (_up(edge, self.multiple) for edge in self.shape)
        return max(1, pixels // (height * width))

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


class Cut:
    """How lengths are cut into windows that overlap; for the arguments see `Grid`."""

    def __init__(self, window: int, scale: int, multiple: int) -> None:
        wanted = max(window * OVERLAP, min(window / 4, LEAST_OVERLAP))
        self.overlap = int(wanted) // scale * scale
        self.scale = scale
        self.multiple = multiple
        self.pixels = max(window, multiple) ** 2

    def edge(self, length: int, count: int) -> int:
        """Return the edge of so many windows along a length, with the overlap between them."""
        return _up((length + (count - 1) * self.overlap) / count, self.scale)

    def starts(self, length: int, edge: int, count: int) -> list[int]:
        """Return where windows begin, evenly spread, the last ending where the picture ends."""
        places = np.linspace(0, (length - edge) // self.scale, count)
        return [int(place) * self.scale for place in places.round()]

    def best(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return how many windows beside each other cost the fewest pixels, by rows and columns."""
        found = []
        for rows in range(1, self._most(size[0]) + 1):
            height = _up(self.edge(size[0], rows), self.multiple)
            if (columns := self._fewest(size[1], self.pixels // height)) is not None:
                width = _up(self.edge(size[1], columns), self.multiple)
                seen = self.edge(size[0], rows) * self.edge(size[1], columns)
                number = rows * columns
                dear = number * seen > CHEAP * size[0] * size[1]
                found.append((dear, number * height * width, number * seen, rows, columns))
        return min(found)[3:]

    def _most(self, length: int) -> int:
        """Return how many windows fit of which none reaches beyond its neighbours."""
        least = max(2 * self.overlap, self.scale)
        return max(1, (length - self.overlap) // (least - self.overlap))

    def _fewest(self, length: int, edge: int) -> int | None:
        """Return how many windows are needed that are filled up to no more than an edge."""
        if _up(length, self.multiple) <= edge:
            return 1
        edge = edge // self.multiple * self.multiple // self.scale * self.scale
        if edge < max(2 * self.overlap, self.scale):
            return None
        return math.ceil((length - self.overlap) / (edge - self.overlap))


def _up(length: float, multiple: int) -> int:
    return math.ceil(length / multiple) * multiple


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
