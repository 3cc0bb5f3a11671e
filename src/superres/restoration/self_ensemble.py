"""The mean of a picture's estimates from several sides: flipped and turned, and turned back.

What a network sees of an edge depends a little on where the edge faces; the mean of all sides is
nearer to the truth. Geometric self-ensemble, the `+` of tables since Timofte et al. 2016 ("Seven
ways to improve example-based single image super resolution") and Lim et al. 2017 (EDSR).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from superres.core.errors import SuperresError
from superres.restoration.picture import DEPTHS, Picture

ENSEMBLES = (1, 2, 4, 8)
SIDES = tuple(
    (bool(turned), bool(upended), bool(mirrored))
    for turned, upended, mirrored in (
        *((0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 1, 1)),
        *((0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1)),
    )
)
"""Whether rows and columns change places, the order of rows, and that of columns; the first two,
four and eight lie as far apart as they can."""


def check_ensemble(count: int, estimate: bool) -> None:
    """Refuse what cannot be averaged.

    Raises:
        SuperresError: another number than 1, 2, 4 or 8; samples, whose mean is a blur.
    """
    if count not in ENSEMBLES:
        known = ", ".join(map(str, ENSEMBLES))
        raise SuperresError(f"ensemble: must be one of {known}, got {count}")
    if count > 1 and not estimate:
        raise SuperresError(
            "ensemble: is of estimates (--estimate, estimate=True), since the mean of samples is "
            f"one of those; got {count}"
        )


def averaged(picture: Picture, run: Callable[[Picture], Picture], count: int) -> Picture:
    """Return the mean of a picture's restorations from `count` sides, at the picture's depth.

    Args:
        picture: the input.
        run: restores a picture, to the same depth.
        count: 1, 2, 4 or 8; 1 is `run` alone.
    """
    if count == 1:
        return run(picture)
    fine = np.uint16(DEPTHS[np.dtype(np.uint16)] // DEPTHS[picture.levels.dtype])
    kind = picture.levels.dtype
    total: Any = 0.0
    alpha: np.ndarray | None = None
    for side in SIDES[:count]:
        # With 16 bits, so that the roundings of all sides do not add up.
        parts = [
            None if one is None else _seen_from(one, side).astype(np.uint16) * fine
            for one in (picture.levels, picture.alpha)
        ]
        assert parts[0] is not None
        restored = run(Picture(parts[0], parts[1]))
        total = total + _seen_back(restored.levels, side).astype(np.float64)
        alpha = restored.alpha if alpha is None else alpha
    levels = np.rint(total / (count * int(fine))).astype(kind)
    return Picture(levels, None if alpha is None else np.rint(alpha / fine).astype(kind))


def _seen_from(levels: np.ndarray, side: tuple[bool, bool, bool]) -> np.ndarray:
    turned, upended, mirrored = side
    levels = levels.swapaxes(0, 1) if turned else levels
    return np.ascontiguousarray(levels[:: -1 if upended else 1, :: -1 if mirrored else 1])


def _seen_back(levels: np.ndarray, side: tuple[bool, bool, bool]) -> np.ndarray:
    turned, upended, mirrored = side
    levels = levels[:: -1 if upended else 1, :: -1 if mirrored else 1]
    return levels.swapaxes(0, 1) if turned else levels
