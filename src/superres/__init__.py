"""superres: train, measure and use diffusion super-resolution in one reproducible pipeline."""

from __future__ import annotations

import os
from typing import Any

__version__ = "0.1.0"
__all__ = ["load"]

# OpenMP reads it when torch is loaded. Idle threads that spin cost a computation that shares its
# cores several times its time (docs/training.md); what is set already holds.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    """Return `load` when it is first asked for.

    By hand, since the check of the environment is in here and must do without any dependency.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from superres.restoration.restorer import load  # noqa: PLC0415 - it loads torch

    return load


def __dir__() -> list[str]:
    return [*globals(), *__all__]
