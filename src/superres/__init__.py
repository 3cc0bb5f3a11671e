"""superres: train, measure and use diffusion super-resolution in one reproducible pipeline."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superres.restoration.restorer import Restorer

__version__ = "0.1.0"


def load(folder: str = "models/best", **options: Any) -> Restorer:
    """Return a trained model that restores any picture: `load("models/best").restore(image)`.

    Takes the options of `superres.restoration.restorer.load`, which is looked up when called:
    importing superres loads nothing, and no stage depends on what restores pictures.
    """
    return import_module("superres.restoration.restorer").load(folder, **options)
