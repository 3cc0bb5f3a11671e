"""Which candidate is chosen, and which it could as well have been."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from superres.metrics.bootstrap import interval

HIGHER_IS_BETTER = {
    "appearance": True,
    "psnr_estimate": True,
    "psnr_sample": True,
    "swd": False,
    "fid": False,
    "val_loss": False,
}
"""The figures that `select.metric` may name."""


class Verdict(NamedTuple):
    """What became of each candidate; arrays in their order."""

    chosen: int
    best: int
    """The one with the best figure, the first of equals."""
    difference: np.ndarray
    """Figure minus the best one's."""
    ends: np.ndarray
    """Of the differences' 95 % intervals, 2 x N."""
    tied: np.ndarray
    """Whether the interval holds 0: no difference is to be seen."""


def decide(
    metric: str, steps: Sequence[int], values: Sequence[float], resampled: np.ndarray
) -> Verdict:
    """Return the verdict: of those that tie with the best, the earliest checkpoint wins.

    Of one checkpoint's candidates that tie, the one with the best figure wins.

    Args:
        metric: a key of `HIGHER_IS_BETTER`.
        steps: of each candidate's checkpoint.
        values: the metric's.
        resampled: N x R, the metric over resamples that all candidates share, so that what makes a
            resample hard for one makes it hard for all and cancels in the differences.
    """
    merit = np.array(values) if HIGHER_IS_BETTER[metric] else -np.array(values)
    best = int(merit.argmax())
    ends = interval((resampled - resampled[best]).T)
    tied = (ends[0] <= 0) & (ends[1] >= 0)
    order = np.lexsort((-merit, np.array(steps)))
    return Verdict(int(order[tied[order]][0]), best, np.array(values) - values[best], ends, tied)
