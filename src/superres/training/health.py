"""Telling a loss that has gone wrong from one that merely jumps, and which tiles it was."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import torch

from superres.training.batches import Batches
from superres.training.config import BadLossParams
from superres.training.window import StepRecord

REMEMBERED = 100
"""Steps whose median a step is compared with."""
NEEDED = 20
"""Steps that must be known before anything counts as exploded."""
WORST = 3
"""Tiles that are named."""


class Fault(NamedTuple):
    """What is wrong with a step, and the tiles with the largest losses in it."""

    step: int
    what: str
    norm: float
    """Of the gradients."""
    tiles: str


class Health:
    """Compares losses and gradient norms with those of the steps before.

    Args:
        params: what counts as exploded.
        overflows: whether gradients that are not finite are expected, as with fp16, where the
            scale of the losses is being found.
        clipped: whether gradients are clipped: a large norm then changes nothing, and small
            networks have some that are hundreds of times their median without harm.
    """

    def __init__(self, params: BadLossParams, overflows: bool, clipped: bool) -> None:
        self._factor = params.factor
        self._clipped = clipped
        self._overflows = overflows
        self._recent: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)

    def fault(self, loss: float, norm: float) -> str | None:
        """Return what is wrong with a step; otherwise remember it and return None."""
        overflowed = self._overflows and not math.isfinite(norm)
        if not math.isfinite(loss) or not (math.isfinite(norm) or overflowed):
            return f"the loss is {loss:.4g}"
        if self._factor is not None and len(self._recent) >= NEEDED:
            losses, norms = zip(*self._recent, strict=True)
            compared = [("loss", loss, losses)]
            if not self._clipped:
                compared.append(("gradient norm", norm, norms))
            for name, value, before in compared:
                usual = median(before)
                if math.isfinite(value) and value > self._factor * usual > 0:
                    return f"the {name} has exploded to {value:.4g} from a median of {usual:.4g}"
        if not overflowed:
            self._recent.append((loss, norm))
        return None

    def remembered(self) -> list[list[float]]:
        """Return what a resumed training needs."""
        return [list(pair) for pair in self._recent]

    def resume(self, remembered: Sequence[Sequence[float]]) -> None:
        """Continue from what `remembered` returned."""
        self._recent.extend((loss, norm) for loss, norm in remembered)

    def look(self, record: StepRecord, batches: Batches) -> Fault | None:
        """Return what is wrong with a step, if anything is; this waits for the device.

        Every process sees the same record, and so comes to the same verdict.
        """
        losses = record.terms[0].cpu()
        what = self.fault(float(losses.double().mean()), float(record.norm))
        if what is None:
            return None
        order = losses.nan_to_num(torch.inf).argsort(descending=True)[:WORST].tolist()
        names = batches.names((record.step - 1) * len(losses), len(losses))
        worst = ", ".join(f"{names[place]} ({losses[place]:.4g})" for place in order)
        return Fault(record.step, what, float(record.norm), worst)
