"""What flat white and flat black in an input say of the restored picture.

A pixel of the input is a mean over a part of the original, whose levels end at white. Where such a
mean is white, all that it was made of was white; likewise black, in each channel by itself. So what
lies under flat white is known, and no prediction need differ from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

CORE = 5
"""Edge of a square of the input that must be all white, so that neither noise, ringing beside an
edge nor a highlight of a few pixels is taken for it."""
SLACK = (24.0, 12.0, 0.0)
"""8-bit levels that a prediction may differ by: at the rim of what such squares cover, one pixel of
the input further in, and everywhere else in it. So the picture goes over into what is not known."""
MOVING = {
    *("color_jitter", "color_quantization", "saturation"),
    *("color_saturation", "color_shift", "posterization"),
}
"""Kinds of corruptions that turn other levels into white or black."""


def extremes_are_evidence(degradation: Mapping[str, Any], entropies: Mapping[str, float]) -> bool:
    """Return whether white and black are evidence: no corruption that makes them was at work.

    Args:
        degradation: of the model, as `model.json` has it.
        entropies: those the model is conditioned on, by name.
    """
    kinds = {row["name"]: row["kind"] for row in degradation.get("corruptions", [])}
    return not any(
        kinds.get(name, name) in MOVING for name, entropy in entropies.items() if entropy
    )


class _Bounds(NamedTuple):
    """What is known of a part of one channel of restored rows."""

    channel: int
    rows: slice
    columns: slice
    least: Tensor
    most: Tensor


class Extremes:
    """Where an input is flat white or black.

    Args:
        depths: int8, (1, 3, h, w), of the input: 0 where nothing is known, else 1 to 3 for the
            place in `SLACK`, negative for black.
        scale: of the model.
    """

    def __init__(self, depths: Tensor, scale: int) -> None:
        self._depths = depths
        self._scale = scale
        self._places = [_places(channel) for channel in depths[0]]
        self._whole: list[_Bounds] | None = None

    @classmethod
    def of(cls, low: Tensor, scale: int) -> Extremes | None:
        """Return those of an input in [-1, 1], (1, 3, h, w), or None where there are none."""
        if low.max() < 1 and low.min() > -1:
            return None
        depths = torch.stack([_depths(channel) for channel in low[0]])[None]
        return cls(depths, scale) if bool(depths.any()) else None

    def limit(self, pictures: Tensor, top: int) -> Tensor:
        """Put what is known into restored rows in about [-1, 1], (1, 3, rows, W); return them.

        Args:
            pictures: the rows, changed in place.
            top: the first of them, a multiple of the scale.
        """
        for channel, rows, columns, least, most in self._bounds(pictures, top):
            part = pictures[0, channel, rows, columns]
            torch.clamp(part, least, most, out=part)
        return pictures

    def _bounds(self, pictures: Tensor, top: int) -> Iterable[_Bounds]:
        """Return the bounds of some rows; those of a whole picture are kept for the next step.

        Pictures of more rows than are worked on at once would fill memory with them: there they
        are made for one channel at a time.
        """
        if pictures.shape[2] < self._depths.shape[2] * self._scale:
            return self._made(pictures, top)
        if self._whole is None:
            self._whole = list(self._made(pictures, top))
        return self._whole

    def _made(self, pictures: Tensor, top: int) -> Iterator[_Bounds]:
        scale, height = self._scale, pictures.shape[2]
        rows = slice(top // scale, -(-(top + height) // scale))
        least = pictures.new_tensor([-torch.inf] * 4 + [1 - levels / 127.5 for levels in SLACK])
        most = -least.flip(0)
        for channel, (depths, (known, columns)) in enumerate(
            zip(self._depths[0, :, rows], self._places, strict=True)
        ):
            here = np.flatnonzero(known[rows])
            if not len(here):
                continue
            down = slice(int(here[0]), int(here[-1]) + 1)
            large = depths[down, columns].repeat_interleave(scale, 0).repeat_interleave(scale, 1)
            within = _times(down, scale)
            places = large[: height - within.start].int() + len(SLACK)
            yield _Bounds(channel, within, _times(columns, scale), least[places], most[places])


def _places(depths: Tensor) -> tuple[np.ndarray, slice]:
    """Return in which rows of a channel, (h, w), something is known, and between which columns.

    On the host, once: no step may wait for the device.
    """
    known = (depths != 0).cpu().numpy()
    columns = np.flatnonzero(known.any(axis=0))
    least, most = (columns[0], columns[-1] + 1) if len(columns) else (0, 0)
    rows: np.ndarray = np.asarray(known.any(axis=1))
    return rows, slice(int(least), int(most))


def _times(places: slice, scale: int) -> slice:
    return slice(places.start * scale, places.stop * scale)


def _depths(channel: Tensor) -> Tensor:
    """Return int8 depths of one channel in [-1, 1], (h, w)."""
    depths = torch.zeros(channel.shape, dtype=torch.int8, device=channel.device)
    for level, sign in ((1, 1), (-1, -1)):
        if not bool((channel == level).any()):
            continue
        core = 1 - _within((channel != level).float()[None], CORE // 2)
        for distance in range(CORE // 2 + 1):
            core = _within(core, 1) if distance else core
            depths += (sign * core[0]).to(torch.int8)
    return depths


def _within(mask: Tensor, distance: int) -> Tensor:
    """Return a mask of floats, (1, h, w), grown by so many pixels; none lie outside."""
    return F.max_pool2d(mask, 2 * distance + 1, stride=1, padding=distance)
