"""Several samplers that wait for each other at every evaluation of the network.

A sampler is an ordinary function that calls a denoiser. Here each runs in a thread of its own, and
its denoiser is a place where it stops, shows what it asks, and goes on when it is answered. Exactly
one thread runs at any time, so nothing depends on how threads are scheduled.
"""

from __future__ import annotations

import ctypes
import queue
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from superres.diffusion.process import Denoiser

Task = Callable[[Denoiser], Tensor]
"""Runs a sampler with the denoiser that it is given and returns the result."""


class Question(NamedTuple):
    """What a sampler wants to be evaluated."""

    x_t: Tensor
    timesteps: Tensor


class Stopped(BaseException):
    """Ends a sampler's thread whose answer will not come."""


class Sampler:
    """One sampler in a thread of its own.

    Args:
        task: what it does; it runs as far as its first question in `begin`.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._answers: queue.SimpleQueue[Tensor | None] = queue.SimpleQueue()
        self._says: queue.SimpleQueue[Question | Tensor | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> Question | Tensor:
        """Run to the first question, or to the end; return it, or the result."""
        self._thread.start()
        return self._next()

    def answer(self, output: Tensor) -> Question | Tensor:
        """Give the evaluation that was asked for and run to the next question, or to the end.

        Raises:
            Exception: what the task raised.
        """
        self._answers.put(output)
        del output
        return self._next()

    def stop(self) -> None:
        """End the thread wherever it waits."""
        if self._thread.is_alive():
            self._answers.put(None)
            self._thread.join()

    def _next(self) -> Question | Tensor:
        said = self._says.get()
        _give_back()
        if isinstance(said, BaseException):
            raise said
        return said

    def _run(self) -> None:
        try:
            self._says.put(self._task(self._ask))
        except Stopped:
            pass
        except BaseException as error:
            self._says.put(error)

    def _ask(self, x_t: Tensor, timesteps: Tensor) -> Tensor:
        self._says.put(Question(x_t, timesteps))
        answer = self._answers.get()
        if answer is None:
            raise Stopped
        return answer


def _give_back() -> None:
    """Return freed memory to the system where malloc is glibc's.

    It keeps what each thread frees for that thread alone, which with a thread per band comes to
    ten times the picture.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none, and needs none
        if trim is not None:
            trim(0)
