"""What is done to a sample once it is drawn, with the mean of what fits the input at hand.

A sample differs from that mean as much as the truth does, so its squared error is twice the mean's.
Most of that lies in shapes a few pixels large, where a guess is as often wrong as right; the fine
detail that makes a picture look sharp costs little. What is taken back here is the coarse part of
the difference, by a Gaussian filter, and most of it where it is small altogether: a grain of two
levels is no texture, but dust in a sky.

A mean is also softer than what it is the mean of: where detail is unsure it has less of it. Its own
detail, made stronger, is where detail belongs, and costs less error than as much of a guess. Where
it is strong, at rims, in print and around eyes, what is guessed beside it shows as specks and is
taken back too.

A small network puts too much of its guesses where it is least sure, as specks, and too little
elsewhere. Fur is alike over many pixels, specks stand out from what is around them: a ceiling that
follows the surroundings takes from the latter; below it, what was drawn is made stronger.

After DDNM (Wang et al. 2022), which takes from the input what the input knows; here the line is
drawn where a mean is better than a guess. Leaving out what is small is coring, as in video cameras,
adding detail over again unsharp masking, as in darkrooms, and a ceiling with a gain below it is a
sound engineer's compressor with automatic gain.
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


DETAIL = 0.6
"""Deviation of the Gaussian filter that detail is what is left by, likewise."""
MASKING = 3.0
"""Differences smaller than this many times what sharpening adds around a pixel are small, too."""
GAIN = 2.0
"""Factor on differences of luma that are far below a ceiling."""
SURROUNDINGS = 16.0
"""Deviation of the Gaussian window, in pixels of the input, that a ceiling is measured in."""
HIGHEST = 30.0
"""Levels of 255 that a ceiling never exceeds: rougher texture is rather a pattern of its own."""


class Finish(NamedTuple):
    """What is done to a sample."""

    fidelity: float = 0.0
    """Share of the coarse part of its difference from the mean that is taken back, in [0, 1]."""
    coring: float = 0.0
    """Levels of 255. Of luma's difference, of root mean square s around a pixel, the share
    s^4 / (s^4 + coring^4) is left there, and of colours' as much."""
    sharpening: float = 0.0
    """What of the detail of the mean's luma is added, as a share of it. With a of root mean square
    around a pixel, the square of `MASKING` a is added to coring's."""
    ceiling: float = 0.0
    """Over the root mean square S of luma's difference in the surroundings; 0 is none. Where it is
    s around a pixel, it is multiplied by g / (1 + (g s)^4 (1 / (ceiling S)^4 + 1 / h^4))^(1/4),
    where g is `GAIN` and h `HIGHEST`."""

    def __bool__(self) -> bool:
        return any(self)


class Rows(NamedTuple):
    """Rows of a sampled picture, and of the mean there: (B, C, rows, W), in [-1, 1]."""

    sampled: Tensor
    mean: Tensor


def finished(rows: Rows, finish: Finish, scale: int) -> Tensor:
    """Return a sampled picture, finished.

    Args:
        rows: of whole pictures.
        finish: what is done.
        scale: edge of a restored picture over edge of its input.
    """
    (picture,) = finished_in_bands([rows], finish, scale)
    return picture


def finished_in_bands(bands: Iterable[Rows], finish: Finish, scale: int) -> Iterator[Tensor]:
    """Yield the bands of a picture, from top to bottom, as `finished` has the whole.

    A band is held back until the next are there, a few of whose rows it needs.

    Args:
        bands: rows that follow each other.
        finish: as for `finished`.
        scale: likewise.
    """
    reach = _reach(DEVIATION, scale)
    if finish.coring or finish.sharpening or finish.ceiling:
        widest = SURROUNDINGS if finish.ceiling else DETAIL
        reach = _reach(widest, scale) + _reach(NEIGHBOURHOOD, scale)
    above: list[Rows] = []
    held: deque[Rows] = deque()
    for rows in chain(bands, [None]):
        if rows is not None:
            held.append(rows)
        while held:
            known = sum(later.mean.shape[2] for later in list(held)[1:])
            if rows is not None and known < reach:
                break
            joined = Rows(*(torch.cat(parts, dim=2) for parts in zip(*above, *held, strict=True)))
            first = sum(before.mean.shape[2] for before in above)
            last = first + held.popleft().mean.shape[2]
            seen = Rows(*(part[:, :, : last + reach] for part in joined))
            yield _finished(seen, finish, scale)[:, :, first:last]
            above = [Rows(*(part[:, :, max(0, last - reach) : last] for part in joined))]


def _finished(rows: Rows, finish: Finish, scale: int) -> Tensor:
    difference = rows.sampled - rows.mean
    fine = difference - finish.fidelity * _smoothed(difference, DEVIATION, scale)
    if not (finish.coring or finish.sharpening or finish.ceiling):
        return rows.mean + fine
    light = luma(rows.mean)
    added = finish.sharpening * (light - _smoothed(light, DETAIL, scale))
    masked = MASKING**2 * _smoothed(added.square(), NEIGHBOURHOOD, scale)
    small = masked + (finish.coring / LEVEL) ** 2
    power = _smoothed(luma(difference).square(), NEIGHBOURHOOD, scale)
    kept = power.square()
    left = kept / (kept + small.square()).clamp(min=1e-24)  # where both are nothing, nothing
    if finish.ceiling:
        around = finish.ceiling**2 * _smoothed(power, SURROUNDINGS, scale)
        limits = 1 / around.clamp(min=1e-12).square() + (LEVEL / HIGHEST) ** 4
        above = (GAIN**2 * power).square() * limits
        fine = fine + (GAIN / (1 + above).pow(0.25) - 1) * luma(fine)
    return rows.mean + left * fine + added


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
