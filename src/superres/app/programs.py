"""What other programs may ask of the page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from superres.app.layout import SUFFIXES
from superres.app.sessions import session_of
from superres.app.settings import Settings, Stopped
from superres.core.errors import SuperresError

PULSE_SECONDS = 0.5
"""Between two looks whether the program that asked is still there."""


def for_programs(workbench: Callable[[], Any]) -> Callable[..., AsyncIterator[Any]]:
    """Return the function that other programs call, with what returns a workbench to do it.

    It yields: Gradio goes on with a generator only while somebody listens, and closes it when the
    program has gone, or has cancelled its job. The work ends then at its next batch of windows.
    """

    async def restore(
        picture: str,
        entropies: Any,
        detail: str,
        seed: int,
        format: str,
        model: str,
        request: gr.Request,
    ) -> AsyncIterator[Any]:
        """Restore a picture.

        Args:
            picture: the file.
            entropies: from 0 to 1, by the names of the model's corruptions; or "auto".
            detail: estimate, few steps or many steps.
            seed: of the noise.
            format: png, jpg, webp or tif.
            model: one of the page's model folders.
            request: who asks.

        Yields:
            Nothing new while it works, then the restored file.
        """
        gone = threading.Event()

        def watch(done: int, total: int) -> None:
            if gone.is_set():
                raise Stopped

        words = (picture, entropies, detail, seed, format, model, session_of(request), watch)
        work = asyncio.ensure_future(asyncio.to_thread(_restored, workbench, *words))
        work.add_done_callback(lambda one: one.cancelled() or one.exception())  # seen, if by nobody
        try:
            while not (await asyncio.wait({work}, timeout=PULSE_SECONDS))[0]:
                yield gr.skip()
        except GeneratorExit:
            gone.set()
            await asyncio.wait({work})  # the next in the queue begins when the machine is free
            raise
        except asyncio.CancelledError:
            gone.set()  # who cancels waits for the answer, and no longer than five seconds
            raise
        yield work.result()

    return restore


def _restored(
    workbench: Callable[[], Any],
    picture: str,
    entropies: Any,
    detail: str,
    seed: int,
    format: str,
    model: str,
    session: str,
    watch: Callable[[int, int], object],
) -> str:
    """Return the path of the restored file; what is wrong becomes an error that Gradio tells."""
    try:
        bench = workbench()
        suffix = f".{str(format).lower()}"
        if suffix not in SUFFIXES.values():
            known = ", ".join(one[1:] for one in SUFFIXES.values())
            raise SuperresError(f"format: must be one of {known}, got {format!r}")
        if not picture:
            raise SuperresError("picture: a file is wanted")
        if entropies == "auto":
            file = bench.read(picture)
            entropies = bench.estimate(Settings(model, {}), file.picture)[0]
        if not isinstance(entropies, dict):
            raise SuperresError('entropies: must be an object of numbers or "auto"')
        chosen = {str(name): _number(name, value) for name, value in entropies.items()}
        settings = Settings(model, chosen, detail, int(seed or 0))
        result = bench.restore_whole(settings, picture, session, watch)
        return str(bench.save(result, 0, suffix)[0])
    except (SuperresError, OSError, MemoryError) as error:
        raise gr.Error(str(error) or "not enough memory", print_exception=False) from error
    except Stopped as error:
        raise gr.Error("stopped", print_exception=False) from error


def _number(name: Any, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SuperresError(f"{name}: must be a number, got {value!r}")
    return float(value)
