"""Gaussian diffusion: schedules, the process, losses and samplers.

The public names are found when they are asked for, so that a stage which needs the schedule does
not depend on the samplers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superres.diffusion.process import GaussianDiffusion
    from superres.diffusion.samplers import SAMPLERS, sample
    from superres.diffusion.schedule import make_betas
    from superres.diffusion.spacing import space_timesteps

__all__ = ["SAMPLERS", "GaussianDiffusion", "make_betas", "sample", "space_timesteps"]

_HOMES = {
    "GaussianDiffusion": "superres.diffusion.process",
    "SAMPLERS": "superres.diffusion.samplers",
    "sample": "superres.diffusion.samplers",
    "make_betas": "superres.diffusion.schedule",
    "space_timesteps": "superres.diffusion.spacing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'superres.diffusion' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
