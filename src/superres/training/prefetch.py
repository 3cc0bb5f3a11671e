"""Batches read ahead by threads, so that the device need not wait for them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

import torch

from superres.core.distributed import Processes
from superres.core.errors import SuperresError
from superres.training.config import TrainParams
from superres.training.data import Batches, HostBatch, TrainingBatch

THREADS = 4
AHEAD = 8
"""Batches read or being read; with batches of 8 tiles of 256 px that is 13 MB."""


def passes_per_process(params: TrainParams, processes: Processes) -> int:
    """Return how many forward and backward passes each process makes for one step.

    Raises:
        SuperresError: a batch that the processes cannot share evenly.
    """
    passes = -(-params.micro_batches // processes.count)
    if params.batch % (passes * processes.count):
        raise SuperresError(
            f"train.batch: {params.batch} tiles cannot be divided among {processes.count} "
            f"processes of {passes} passes each (train.micro_batches {params.micro_batches})"
        )
    return passes


class Span(NamedTuple):
    """The positions of one forward pass: `first` and the `tiles - 1` after it."""

    first: int
    tiles: int


def spans(params: TrainParams, processes: Processes, step: int) -> Iterator[Span]:
    """Yield the spans of one process's passes, from a step on.

    Args:
        params: steps, global batch and its division.
        processes: which process it is, of how many.
        step: steps done.
    """
    passes = passes_per_process(params, processes)
    count = params.batch // (passes * processes.count)
    while step < params.steps:
        for number in range(passes):
            index = processes.rank * passes + number
            yield Span(step * params.batch + index * count, count)
        step += 1


class Loader:
    """Gives the batches of a row of spans to a device, each once and in order.

    Args:
        batches: where they come from.
        spans: which, in the order in which they will be asked for.
        device: where they go.

    Attributes:
        waited: seconds spent waiting for batches so far.
    """

    def __init__(self, batches: Batches, spans: Iterable[Span], device: torch.device) -> None:
        self.waited = 0.0
        self._batches = batches
        self._spans = iter(spans)
        self._device = device
        threads = threads_for(device)
        self._pool = ThreadPoolExecutor(threads, "loader") if threads else None
        self._coming: deque[Future[HostBatch]] = deque()

    def __iter__(self) -> Iterator[TrainingBatch]:
        return self

    def __next__(self) -> TrainingBatch:
        began = time.perf_counter()
        host = self._read_ahead() if self._pool else self._batches.read(*next(self._spans))
        self.waited += time.perf_counter() - began
        return host.to(self._device, self._batches.drop)

    def _read_ahead(self) -> HostBatch:
        assert self._pool is not None
        for span in islice(self._spans, AHEAD - len(self._coming)):
            self._coming.append(self._pool.submit(self._batches.read, *span))
        if not self._coming:
            raise StopIteration
        return self._coming.popleft().result()

    def close(self) -> None:
        """Stop reading."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


def threads_for(device: torch.device) -> int:
    """Return how many threads read ahead: none on a CPU, whose time the network wants."""
    return THREADS if device.type == "cuda" else 0
