"""Work on items of which the next is read and the last is written while one is computed.

Threads read and write: what computes, a device or the cores of this machine, waits for neither
files nor disks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Given = TypeVar("Given")
Made = TypeVar("Made")


def overlapped(
    items: Sequence[Item],
    read: Callable[[Item], Given],
    compute: Callable[[Given], Made],
    write: Callable[[Item, Made], object],
) -> None:
    """Read, compute and write every item, in order; return when all are written.

    One item is read ahead, and one waits to be written at most, so that memory does not grow.

    Args:
        items: any number.
        read: called in a thread of its own.
        compute: called in this thread, one item after the other.
        write: called in another thread, one item after the other.

    Raises:
        Exception: of the first of the three that failed; what was computed before is written.
    """
    with (
        ThreadPoolExecutor(1, "reader") as reader,
        ThreadPoolExecutor(1, "writer") as writer,
    ):
        written: Future[object] | None = None
        coming = [reader.submit(read, item) for item in items[:1]]
        for number, item in enumerate(items):
            given = coming.pop().result()
            coming += [reader.submit(read, following) for following in items[number + 1 :][:1]]
            made = compute(given)
            if written is not None:
                written.result()
            written = writer.submit(write, item, made)
        if written is not None:
            written.result()
