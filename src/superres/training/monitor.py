"""What a training shows while it runs: a progress line, growing tables, TensorBoard on demand."""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from superres.core.distributed import Processes
from superres.core.errors import SuperresError
from superres.core.progress import progress_bar
from superres.core.storage import write_csv
from superres.training.checkpoint import Row
from superres.training.config import TrainParams

TENSORBOARD_VARIABLE = "SUPERRES_TENSORBOARD"
SPEED = "train_speed.csv"
"""Beside the log: images per second and memory, which no stage's output may hold."""
WRITE_EVERY = 5.0
"""Seconds between writings of the tables, at least; the last rows are written in any case."""


class Watching:
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

    def moved(self) -> None:
        """Note that a step is done."""
        self._bar.update(self._batch)

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
        write_csv(self._log_file.with_name(SPEED), pd.DataFrame(self._speed))
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

    def __enter__(self) -> Watching:
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
        raise SuperresError(
            f"{TENSORBOARD_VARIABLE}: TensorBoard is not installed; pip install tensorboard"
        ) from error
    return SummaryWriter(folder)
