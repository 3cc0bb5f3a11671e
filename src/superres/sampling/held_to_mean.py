"""Samples held to the mean in what is coarse: texture is drawn anew, shapes are the mean's.

A sample differs from the mean of all pictures that fit the input as much as the truth does, so its
squared error is twice the mean's. Most of that lies in shapes a few pixels large, where a guess is
as often wrong as right; the fine detail that makes a picture look sharp costs little. What is taken
back here is the coarse part of the difference, by a Gaussian filter.

After DDNM (Wang et al. 2022), which takes from the input what the input knows; here the line is
drawn where a mean is better than a guess.
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

DEVIATION = 0.38
"""Of the Gaussian filter, in pixels of the input; found by eye and figures (docs/results.md)."""


class Rows(NamedTuple):
    """Rows of a sampled picture, and of the mean there: (B, C, rows, W), in [-1, 1]."""

    sampled: Tensor
    mean: Tensor


def nearer_to_mean(rows: Rows, fidelity: float, scale: int) -> Tensor:
    """Return a sampled picture with the coarse part of its difference from the mean taken back.

    Args:
        rows: of whole pictures.
        fidelity: share that is taken back, in [0, 1].
        scale: edge of a restored picture over edge of its input.
    """
    (picture,) = in_bands([rows], fidelity, scale)
    return picture


def in_bands(bands: Iterable[Rows], fidelity: float, scale: int) -> Iterator[Tensor]:
    """Yield the bands of a picture, from top to bottom, as `nearer_to_mean` has the whole.

    A band is held back until the next are there, a few of whose rows it needs.

    Args:
        bands: rows that follow each other.
        fidelity: as for `nearer_to_mean`.
        scale: likewise.
    """
    reach = _reach(scale)
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
            yield (
                sampled - fidelity * _coarse(joined[:, :, : last + reach], scale)[:, :, first:last]
            )
            above = joined[:, :, max(0, last - reach) : last]


def _reach(scale: int) -> int:
    """Return how many pixels the filter sees to each side."""
    return math.ceil(3 * DEVIATION * scale)


def _coarse(difference: Tensor, scale: int) -> Tensor:
    """Return a difference smoothed by the filter, edges continued."""
    reach = _reach(scale)
    places = torch.arange(-reach, reach + 1, device=difference.device, dtype=difference.dtype)
    weights = torch.exp(-0.5 * (places / (DEVIATION * scale)) ** 2)
    weights /= weights.sum()
    channels = difference.shape[1]
    column = weights[:, None].expand(channels, 1, -1, 1)
    padded = F.pad(difference, (reach, reach, reach, reach), mode="replicate")
    down = F.conv2d(padded, column, groups=channels)
    return F.conv2d(down, column.transpose(2, 3), groups=channels)
