"""What other programs may ask of the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from superres.app.layout import SUFFIXES
from superres.app.sessions import session_of
from superres.app.settings import Settings, Stopped
from superres.core.errors import SuperresError


def for_programs(workbench: Callable[[], Any]) -> Callable[..., str]:
    """Return the function that other programs call, with what returns a workbench to do it."""

    def restore(
        picture: str,
        entropies: Any,
        detail: str,
        seed: int,
        format: str,
        model: str,
        request: gr.Request,
    ) -> str:
        """Restore a picture.

        Args:
            picture: the file.
            entropies: from 0 to 1, by the names of the model's corruptions; or "auto".
            detail: estimate, few steps or many steps.
            seed: of the noise.
            format: png, jpg, webp or tif.
            model: one of the page's model folders.
            request: who asks.

        Returns:
            The restored file.
        """
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
            told = {str(name): _number(name, value) for name, value in entropies.items()}
            settings = Settings(model, told, detail, int(seed or 0))
            result = bench.restore_whole(settings, picture, session_of(request))
            return str(bench.save(result, 0, suffix)[0])
        except (SuperresError, OSError, MemoryError) as error:
            raise gr.Error(str(error) or "not enough memory", print_exception=False) from error
        except Stopped as error:
            raise gr.Error("stopped", print_exception=False) from error

    return restore


def _number(name: Any, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SuperresError(f"{name}: must be a number, got {value!r}")
    return float(value)
