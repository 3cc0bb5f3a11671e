"""A function over many items on every core, with results in order and bounded memory.

The number of workers is no param: `SUPERRES_WORKERS` sets it, and without that every core counts
that joblib may use. Another joblib backend (a cluster) is chosen with `joblib.parallel_config`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Literal, TypeVar

from joblib import Parallel, delayed, effective_n_jobs

from superres.errors import SuperresError

WORKERS_VARIABLE = "SUPERRES_WORKERS"
WINDOW_PER_WORKER = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    prefer: Literal["threads", "processes"],
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the items' order, whatever the number of workers.

    Items are taken a window at a time: joblib alone computes ahead without limit when the results
    are consumed more slowly than they are made.

    Args:
        function: at module level where processes run it.
        items: any number; no more than a window of them is held.
        prefer: `threads` where the work lies in code that releases the interpreter's lock, such
            as decoding; `processes` where it lies in many small Python calls.
    """
    workers = _workers()
    window = WINDOW_PER_WORKER * effective_n_jobs(workers)
    remaining = iter(items)
    with Parallel(n_jobs=workers, prefer=prefer, return_as="generator") as parallel:
        while batch := list(islice(remaining, window)):
            yield from parallel(delayed(function)(item) for item in batch)


def _workers() -> int:
    """Return a positive number, or -1 for every core."""
    text = os.environ.get(WORKERS_VARIABLE, "")
    if not text:
        return -1
    if not text.isdecimal() or int(text) == 0:
        raise SuperresError(f"{WORKERS_VARIABLE}: must be a positive whole number, got {text!r}")
    return int(text)
