"""Networks: building blocks, the U-Net, its super-resolution form, weights from elsewhere.

The public names are found when they are asked for, so that importing the package does not load
torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superres.models.interop import load_guided_diffusion, to_guided_diffusion

__all__ = ["load_guided_diffusion", "to_guided_diffusion"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'superres.models' has no attribute {name!r}")
    return getattr(import_module("superres.models.interop"), name)
