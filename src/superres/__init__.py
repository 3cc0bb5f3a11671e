"""superres: train, measure and use diffusion super-resolution in one reproducible pipeline."""

from __future__ import annotations

import os
from typing import Any

__version__ = "0.1.0"
__all__ = ["load"]

# OpenMP reads them when torch is loaded; what is set already holds. Idle threads spin for a tenth
# of a millisecond, then sleep: to sleep at once costs up to a fifth of a training step for waking,
# and to spin for long holds up whatever shares their cores (docs/training.md). Other OpenMPs than
# GNU's know the policy alone.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


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
