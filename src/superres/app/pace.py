"""How long something will take still."""

from __future__ import annotations

import time


class Pace:
    """Says how long something will take still."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    def left(self, done: int, total: int) -> str:
        """Return words for the time left, from how long what is done took."""
        if not done:
            return "beginning"
        seconds = (time.monotonic() - self._begin) / done * (total - done)
        if seconds < 1:
            return "nearly done"
        if seconds < 90:
            return f"{seconds:.0f} s left"
        return f"{seconds / 60:.0f} min left"

    def spent(self) -> str:
        """Return words for the time since the beginning."""
        return f"{time.monotonic() - self._begin:.1f} s"
