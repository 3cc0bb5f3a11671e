"""Samples held to the mean in what is coarse: texture is drawn anew, shapes are the mean's.

A sample differs from the mean of all pictures that fit the input as much as the truth does, so its
squared error is twice the mean's. Most of that lies in shapes a few pixels large, where a guess is
as often wrong as right; the fine detail that makes a picture look sharp costs little. What is taken
back here is the coarse part of the difference, by a Gaussian filter, and most of it where it is
small altogether: a grain of two levels is no texture, but dust in a sky.

After DDNM (Wang et al. 2022), which takes from the input what the input knows; here the line is
drawn where a mean is better than a guess. Leaving out what is small is coring, as in video cameras.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from superres.model.signal_space import luma

DEVIATION = 0.38
"""Of the Gaussian filter, in pixels of the input; found by eye and figures (docs/results.md)."""

LEVEL = 127.5
"""Levels of 255 in 1 of pictures in [-1, 1]."""
NEIGHBOURHOOD = 1.5
"""Deviation of the Gaussian window that coring measures differences in, likewise."""


class Hold(NamedTuple):
    """How much of its difference from the mean is taken back from a sample."""

    fidelity: float = 0.0
    """Share of the coarse part, in [0, 1]."""
    coring: float = 0.0
    """Levels of 255. Of luma's difference, of root mean square s around a pixel, the share
    s^2 / (s^2 + coring^2) is left there, and of colours' as much."""

    def __bool__(self) -> bool:
        return self.fidelity > 0 or self.coring > 0


class Rows(NamedTuple):
    """Rows of a sampled picture, and of the mean there: (B, C, rows, W), in [-1, 1]."""

    sampled: Tensor
    mean: Tensor


def nearer_to_mean(rows: Rows, hold: Hold, scale: int) -> Tensor:
    """Return a sampled picture with a part of its difference from the mean taken back.

    Args:
        rows: of whole pictures.
        hold: which part.
        scale: edge of a restored picture over edge of its input.
    """
    (picture,) = in_bands([rows], hold, scale)
    return picture


def in_bands(bands: Iterable[Rows], hold: Hold, scale: int) -> Iterator[Tensor]:
    """Yield the bands of a picture, from top to bottom, as `nearer_to_mean` has the whole.

    A band is held back until the next are there, a few of whose rows it needs.

    Args:
        bands: rows that follow each other.
        hold: as for `nearer_to_mean`.
        scale: likewise.
    """
    reach = max(_reach(DEVIATION, scale), _reach(NEIGHBOURHOOD, scale) if hold.coring else 0)
    above: Tensor | None = None
    held: deque[tuple[Tensor, Tensor]] = deque()
    for rows in chain(bands, [None]):
        if rows is not None:
            held.append((rows.sampled, rows.sampled - rows.mean))
        while held:
            known = sum(difference.shape[2] for _, difference in list(held)[1:])
            if rows is not None and known < reach:
                break
            parts = [difference for _, difference in held]
            joined = torch.cat(parts if above is None else [above, *parts], dim=2)
            first = 0 if above is None else above.shape[2]
            sampled, difference = held.popleft()
            last = first + difference.shape[2]
            yield sampled - _taken_back(joined[:, :, : last + reach], hold, scale)[:, :, first:last]
            above = joined[:, :, max(0, last - reach) : last]


def _taken_back(difference: Tensor, hold: Hold, scale: int) -> Tensor:
    """Return the part of a difference that is taken back."""
    coarse = hold.fidelity * _smoothed(difference, DEVIATION, scale)
    if not hold.coring:
        return coarse
    power = _smoothed(luma(difference).square(), NEIGHBOURHOOD, scale)
    left = power / (power + (hold.coring / LEVEL) ** 2)
    return difference - left * (difference - coarse)


def _reach(deviation: float, scale: int) -> int:
    """Return how many pixels a filter sees to each side."""
    return math.ceil(3 * deviation * scale)


def _smoothed(values: Tensor, deviation: float, scale: int) -> Tensor:
    """Return values smoothed by a Gaussian filter, edges continued."""
    reach = _reach(deviation, scale)
    places = torch.arange(-reach, reach + 1, device=values.device, dtype=values.dtype)
    weights = torch.exp(-0.5 * (places / (deviation * scale)) ** 2)
    weights /= weights.sum()
    channels = values.shape[1]
    column = weights[:, None].expand(channels, 1, -1, 1)
    padded = F.pad(values, (reach, reach, reach, reach), mode="replicate")
    down = F.conv2d(padded, column, groups=channels)
    return F.conv2d(down, column.transpose(2, 3), groups=channels)
