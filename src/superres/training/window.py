"""The steps since the last row of the log, kept on the device until the row is wanted.

Reading a loss waits for the device; a GPU that is waited for at every step is idle at every step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

QUARTILES = 4


class StepRecord(NamedTuple):
    """What a step leaves: per tile of the global batch, in the order of their positions."""

    step: int
    """Optimiser steps done after it."""
    terms: Tensor
    """Loss and its parts, (K, B), float32; the first is the loss."""
    timesteps: Tensor
    """(B,), as float32."""
    norm: Tensor
    """Of the gradients, a number."""


class Window:
    """Records of steps, and the row that they give.

    Args:
        timesteps: T of the diffusion process, for its quartiles.
    """

    def __init__(self, timesteps: int) -> None:
        self._timesteps = timesteps
        self.names: list[str] = []
        self._records: list[StepRecord] = []
        self._seen = 0

    def add(self, names: list[str], record: StepRecord) -> None:
        """Take in a step; `names` are those of its terms."""
        self.names = names
        self._records.append(record)

    def read(self) -> list[StepRecord]:
        """Return the records, on the host; this waits for the device."""
        self._records = [
            StepRecord(record.step, *(tensor.cpu() for tensor in record[1:]))
            for record in self._records
        ]
        return self._records

    def unseen(self) -> list[StepRecord]:
        """Return the records that this has not returned before, on the host."""
        seen, self._seen = self._seen, len(self._records)
        return self.read()[seen:]

    def row(self) -> dict[str, float | None]:
        """Return the means over the window and empty it; a quartile without a tile has none."""
        records = self.read()
        if not records:
            return {}
        terms = torch.stack([record.terms for record in records]).double().numpy()
        timesteps = torch.stack([record.timesteps for record in records]).numpy()
        means = terms.mean(axis=(0, 2)).tolist()
        row: dict[str, float | None] = dict(zip(self.names, means, strict=True))
        quartile = (timesteps * QUARTILES // self._timesteps).astype(int)
        for number in range(QUARTILES):
            losses = terms[:, 0][quartile == number]
            row[f"loss_q{number}"] = float(losses.mean()) if len(losses) else None
        norms = np.array([float(record.norm) for record in records])
        finite = norms[np.isfinite(norms)]  # those of fp16 may overflow
        row["gradient_norm"] = float(finite.mean()) if len(finite) else None
        self._records, self._seen = [], 0
        return row

    def state(self) -> dict[str, Tensor]:
        """Return what a resumed training needs; nothing if the window is empty."""
        if not self._records:
            return {}
        columns = zip(*self.read(), strict=True)
        steps, *tensors = columns
        named = dict(zip(("terms", "timesteps", "norm"), map(torch.stack, tensors), strict=True))
        return {"step": torch.tensor(steps), **named}

    def resume(self, names: list[str], state: dict[str, Tensor]) -> None:
        """Continue from what `state` returned."""
        if state:
            self.names = names
            columns = zip(*(state[key] for key in StepRecord._fields), strict=True)
            self._records = [StepRecord(int(step), *rest) for step, *rest in columns]
            self._seen = len(self._records)
