"""Computing the figures of the catalog: of one restored picture, and of a set's features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from superres.metrics.catalog import FEATURE_FIGURES, TILE_FIGURES, FeatureSettings
from superres.metrics.feature_sets import FeatureSet
from superres.metrics.fidelity import crop

Degrade = Callable[[np.ndarray], np.ndarray]
"""A tile (uint8, H x W x 3) to its low-resolution input, with the entropies of that tile."""


def compare(
    restored: np.ndarray, original: np.ndarray, border_crop: int = 0, matlab: bool = False
) -> dict[str, float]:
    """Return the figures that need nothing but the two pictures (uint8, H x W x 3), by name.

    Args:
        restored: the picture.
        original: of the same shape.
        border_crop: pixels left out at each edge for the figures that say so.
        matlab: whether luma is rounded to 8 bits, as MATLAB does.

    Raises:
        SuperresError: what `border_crop` leaves is too small for SSIM.
    """
    whole = (restored, original)
    inner = (crop(restored, border_crop), crop(original, border_crop))
    return {
        figure.name: (figure.matlab if matlab and figure.matlab else figure.measure)(
            *(inner if figure.cropped else whole)
        )
        for figure in TILE_FIGURES
        if figure.measure is not None and figure.against == "original"
    }


def measure_tile(
    restored: np.ndarray,
    original: np.ndarray,
    low: np.ndarray,
    degrade: Degrade,
    border_crop: int = 0,
) -> dict[str, float]:
    """Return every figure of one restored tile that needs no network, by name.

    Args:
        restored: uint8, H x W x 3.
        original: uint8, of the same shape.
        low: the input that `restored` was made from, uint8, h x w x 3.
        degrade: what made `low` of the original, with the same entropies.
        border_crop: as for `compare`.

    Raises:
        SuperresError: what `border_crop` leaves is too small for SSIM.
    """
    again = degrade(restored)
    return compare(restored, original, border_crop) | {
        figure.name: figure.measure(again, low)
        for figure in TILE_FIGURES
        if figure.measure is not None and figure.against == "input"
    }


def compare_features(
    original: FeatureSet, restored: FeatureSet, how: FeatureSettings
) -> dict[str, float | None]:
    """Return the figures of one contender's features by name; None for sets that are too small."""
    found: dict[str, float | None] = {}
    for figure in FEATURE_FIGURES:
        assert figure.measure is not None
        value = figure.measure(original, restored, how)
        if isinstance(value, tuple):
            found[figure.name], found[figure.deviation] = value
        else:
            found[figure.name] = value
    return found


def without_features() -> dict[str, float | None]:
    """Return the same names, None each."""
    names = ((figure.name, figure.deviation) for figure in FEATURE_FIGURES)
    return dict.fromkeys(name for pair in names for name in pair if name)
