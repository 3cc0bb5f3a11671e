"""Progress bars with a rate and the time left, readable in a terminal and in a log file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def counting(items: Iterable[Item], bar: tqdm) -> Iterator[Item]:
    """Yield the items, moving a bar by one after each."""
    for item in items:
        yield item
        bar.update()


def progress_bar(total: int, description: str, unit: str, **options: Any) -> tqdm:
    """Return a tqdm bar on standard error; a log file gets a line's worth every 10 seconds."""
    interval = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        mininterval=interval,
        maxinterval=interval,
        smoothing=0.1,
        dynamic_ncols=True,
        **options,
    )
