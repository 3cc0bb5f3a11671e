"""A function over many items on every core, with results in order and bounded memory.

The number of workers is no param: `SUPERRES_WORKERS` sets it, and without that every core counts
that joblib may use. `SUPERRES_DASK=tcp://host:8786` runs the same on the workers of a Dask cluster
that exists, which need this project installed and the same file system at the same paths. A worker
that dies costs its tasks' repetition, never a changed byte.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import cycle, islice
from typing import Any, Literal, TypeVar

from joblib import Parallel, delayed, effective_n_jobs

from superres.core.errors import SuperresError

WORKERS_VARIABLE = "SUPERRES_WORKERS"
DASK_VARIABLE = "SUPERRES_DASK"
CONNECT_SECONDS = 10
WINDOW_PER_WORKER = 2
"""Items; there are two windows."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    prefer: Literal["threads", "processes"],
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the items' order, whatever the number of workers.

    Items are taken a window at a time: joblib alone computes ahead without limit when the results
    are consumed more slowly than they are made. One window is worked on while the results of the
    one before are taken, so that no worker waits at its end.

    Args:
        function: at module level where processes run it.
        items: any number; no more than a window of them is held.
        prefer: `threads` where the work lies in code that releases the interpreter's lock, such
            as decoding; `processes` where it lies in many small Python calls.
    """
    address = os.environ.get(DASK_VARIABLE, "")
    if address:
        yield from _on_cluster(address, function, items)
        return
    workers = _workers()
    remaining = iter(items)
    with ExitStack() as stack:
        window = WINDOW_PER_WORKER * effective_n_jobs(workers)
        # an item is work enough for a task of its own
        settings = {"n_jobs": workers, "prefer": prefer, "batch_size": 1, "return_as": "generator"}
        turns = cycle([stack.enter_context(Parallel(**settings)) for _ in range(2)])
        results: Iterator[Result] = iter(())
        while batch := list(islice(remaining, window)):
            begun = next(turns)(delayed(function)(item) for item in batch)
            yield from results
            results = begun
        yield from results


def _on_cluster(
    address: str, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Do the same with the cluster's own futures.

    joblib's backend for Dask is none for this: two of its `Parallel` share one collector of
    results, which the first to finish stops, and the other then waits forever.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - an extra that few need
    except ImportError as error:
        raise SuperresError(f"{DASK_VARIABLE}: needs `pip install superres[dask]`") from error
    try:
        client = Client(address, set_as_default=False, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise SuperresError(f"{DASK_VARIABLE}: {address}: no scheduler there: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise SuperresError(f"{DASK_VARIABLE}: {address}: it has no worker") from error
        window = 2 * WINDOW_PER_WORKER * sum(client.nthreads().values())
        begun: deque[Any] = deque()
        for item in items:
            begun.append(client.submit(function, item, pure=False))
            if len(begun) >= window:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


def _workers() -> int:
    """Return a positive number, or -1 for every core."""
    text = os.environ.get(WORKERS_VARIABLE, "")
    if not text:
        return -1
    if not text.isdecimal() or int(text) == 0:
        raise SuperresError(f"{WORKERS_VARIABLE}: must be a positive whole number, got {text!r}")
    return int(text)
