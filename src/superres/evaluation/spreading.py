"""Measuring in several processes, for those who ask for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from superres.core.parallel import WORKERS_VARIABLE, in_order

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order; in SUPERRES_WORKERS processes if that is set.

    Not on all cores by default: a process takes seconds to start, more than small sets need.

    Args:
        function: at module level, or a `partial` of such a one.
        items: that can be pickled; a window of them is held.
    """
    if os.environ.get(WORKERS_VARIABLE):
        yield from in_order(function, items, prefer="processes")
    else:
        yield from map(function, items)
