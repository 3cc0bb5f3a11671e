"""What is known of a training while it runs: its steps, their faults, its log and its speed.

`Window` holds the steps since the last row of the log, on the device until the row is wanted:
reading a loss waits for the device, and a GPU that is waited for at every step is idle at every
step. `Health` finds losses that went wrong among them, `Monitor` shows the rows, `StopRequests`
hears signals.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from superres.core.distributed import Processes
from superres.core.errors import SuperresError
from superres.core.progress import progress_bar
from superres.core.storage import write_csv
from superres.training import messages
from superres.training.config import BadLossParams, TrainParams
from superres.training.data import Batches

QUARTILES = 4
REMEMBERED = 100
"""Steps whose median a step is compared with."""
NEEDED = 20
"""Steps that must be known before anything counts as exploded."""
WARM_UP, TIMED = 3, 10
"""Steps that are not timed, and those that say how long all will take."""
WORST = 3
"""Tiles that are named."""
TENSORBOARD_VARIABLE = "SUPERRES_TENSORBOARD"
SPEED = "{}_speed.csv"
"""Beside the log, by its name: images per second and memory, which no stage's output may hold."""
WRITE_EVERY = 5.0
"""Seconds between writings of the tables, at least; the last rows are written in any case."""

Row = dict[str, float | None]
"""Of the log, by column; None where nothing was measured."""


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
            return messages.loss_not_finite(loss)
        if self._factor is not None and len(self._recent) >= NEEDED:
            losses, norms = zip(*self._recent, strict=True)
            compared = [("loss", loss, losses)]
            if not self._clipped:
                compared.append(("gradient norm", norm, norms))
            for name, value, before in compared:
                usual = median(before)
                if math.isfinite(value) and value > self._factor * usual > 0:
                    return messages.exploded(name, value, usual)
        if not overflowed:
            self._recent.append((loss, norm))
        return None

    def state(self) -> list[list[float]]:
        """Return what a resumed training needs."""
        return [list(pair) for pair in self._recent]

    def resume(self, state: Sequence[Sequence[float]]) -> None:
        """Continue from what `state` returned."""
        self._recent.extend((loss, norm) for loss, norm in state)

    def examine(self, record: StepRecord, batches: Batches) -> Fault | None:
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


class Monitor:
    """Shows a training's rows as they come.

    Args:
        log_file: CSV of what every machine gets alike.
        params: steps and batch.
        step: steps done already.
        processes: only the first of them shows anything; its GPU's memory is noted.

    Raises:
        SuperresError: TensorBoard is asked for but not installed.
    """

    def __init__(
        self, log_file: Path, params: TrainParams, step: int, processes: Processes
    ) -> None:
        self._log_file = log_file
        self._batch = params.batch
        self._steps = self._left = params.steps - step
        self._timed: float | None = None
        self._processes = processes
        self._speed: list[dict[str, float]] = []
        self._board = _tensorboard() if processes.writes else None
        self._begun = self._last = time.perf_counter()
        self._written = -math.inf
        self._first = self._last_step = step
        self._bar = progress_bar(
            params.steps * params.batch,
            "train",
            "img",
            initial=step * params.batch,
            disable=not processes.writes,
        )

    def advance(self) -> None:
        """Move the progress bar by a step; after some, say how long the others will take."""
        self._bar.update(self._batch)
        self._left -= 1
        done = self._steps - self._left
        if done in (WARM_UP, WARM_UP + TIMED) and self._left and self._processes.writes:
            self._expect()

    def _expect(self) -> None:
        """Begin to time steps, or say what follows from their time."""
        device = self._processes.device
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        now = time.perf_counter()
        if self._timed is None:
            self._timed = now
            return
        each = (now - self._timed) / TIMED
        print(f"train: {messages.expected(each * self._left, self._left, each)}", file=sys.stderr)

    def show(self, log: list[Row]) -> None:
        """Show the log's last row."""
        if not self._processes.writes:
            return
        row, now = log[-1], time.perf_counter()
        step = int(row["step"] or 0)
        images = (step - self._last_step) * self._batch
        rate = images / max(now - self._last, 1e-9)
        speed = {"images_per_second": rate, **peak_memory(self._processes.device)}
        self._last, self._last_step = now, step
        self._speed.append({"step": step, **speed})
        self._bar.set_postfix(step=step, loss=f"{row.get('loss') or math.nan:.4f}", refresh=False)
        if self._board:
            for name, value in {**row, **speed}.items():
                if name != "step" and value is not None:
                    self._board.add_scalar(f"train/{name}", value, step)
        if now - self._written > WRITE_EVERY:
            self.write(log)

    def write(self, log: list[Row]) -> None:
        """Write the tables as they are."""
        if not self._processes.writes:
            return
        write_csv(self._log_file, pd.DataFrame(log))
        write_csv(
            self._log_file.with_name(SPEED.format(self._log_file.stem)), pd.DataFrame(self._speed)
        )
        self._written = time.perf_counter()

    def facts(self, waited: float) -> dict[str, Any]:
        """Return what the timing table says.

        Args:
            waited: seconds spent waiting for batches.
        """
        seconds = time.perf_counter() - self._begun
        images = (self._last_step - self._first) * self._batch
        return {
            "images": images,
            "loader_share": round(waited / max(seconds, 1e-9), 4),
            **peak_memory(self._processes.device),
        }

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._board:
            self._board.close()


def peak_memory(device: torch.device) -> dict[str, int]:
    """Return the peak, in MiB, of what torch took of a GPU's memory, or the process of a CPU's."""
    if device.type == "cuda":
        return {"peak_memory_mib": torch.cuda.max_memory_allocated(device) // 2**20}
    # In bytes on macOS, in KiB elsewhere.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return {"peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit}


def _tensorboard() -> Any:
    folder = os.environ.get(TENSORBOARD_VARIABLE)
    if not folder:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - only when asked for
    except ImportError as error:
        raise SuperresError(messages.tensorboard_missing(TENSORBOARD_VARIABLE)) from error
    return SummaryWriter(folder)


class StopRequests:
    """Turns SIGTERM and Ctrl-C into `asked`, the signal's number, for as long as a block runs."""

    def __init__(self) -> None:
        self.asked = 0

    def __enter__(self) -> StopRequests:
        self._before = {
            number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)
        }
        return self

    def _ask(self, number: int, _: object) -> None:
        self.asked = number

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
