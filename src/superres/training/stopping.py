"""Requests to stop, as a number to look at between steps."""

from __future__ import annotations

import signal


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
