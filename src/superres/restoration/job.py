"""One picture to restore whole: what from, and what bounds its memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from superres.model.resolver import SuperResolver
from superres.restoration.bounds import Tiling
from superres.restoration.extremes import Extremes
from superres.restoration.windows import Grid, Window


class Band(NamedTuple):
    """Rows of the restored picture: the first, and the one after the last."""

    top: int
    bottom: int


@dataclass(frozen=True)
class Job:
    """One picture to restore.

    Args:
        model: the model.
        low: the input in [-1, 1], (1, 3, h, w), on the model's device.
        entropy: in [0, 1], (1, K), in the model's order.
        item: the picture's identity; equal ones get equal noise.
        seed: the experiment's seed.
        tiling: windows and batches.
        extremes: where the input is flat white or black, if anywhere.
    """

    model: SuperResolver
    low: Tensor
    entropy: Tensor
    item: str
    seed: int
    tiling: Tiling
    extremes: Extremes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the restored picture."""
        return self.model.size(self.low)

    def grid(self) -> Grid:
        """Return the windows."""
        model = self.model
        return Grid(self.size, self.tiling.window, model.spec.scale, model.size_multiple)

    def limited(self, pictures: Tensor, top: int) -> Tensor:
        """Return restored rows from one on, (1, 3, rows, W), flat white and black as they were."""
        return pictures if self.extremes is None else self.extremes.limit(pictures, top)

    def batches(self, grid: Grid) -> Iterator[tuple[int, list[Window]]]:
        """Yield the windows that are evaluated at once, and the number of the first."""
        count = grid.at_once(self.tiling.batch * self.tiling.window**2)
        for first in range(0, len(grid), count):
            yield first, grid.windows[first : first + count]
