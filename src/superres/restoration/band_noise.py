"""The noise of some rows of a picture: what `ItemNoise` draws there, without drawing the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from superres.diffusion.noise import threefry


class BandNoise:
    """A source of noise for a band of rows of one picture.

    Equal to the same rows of `superres.diffusion.noise.ItemNoise` but for rounding, so that how a
    picture is divided changes nothing.

    Args:
        seed: 64 bits (`superres.core.seeding.derive_seed`).
        shape: (C, H, W) of the whole picture.
        rows: first row, and the one after the last.
        device: where the noise is drawn.
    """

    def __init__(
        self,
        seed: int,
        shape: Sequence[int],
        rows: tuple[int, int],
        device: torch.device | str = "cpu",
    ) -> None:
        words = torch.tensor([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF])
        key = torch.where(words >= 2**31, words - 2**32, words).to(device, torch.int32)
        self._key = (key[:1], key[1:])
        self._shape = tuple(shape)
        self._rows = rows
        self._draws = 0

    def __call__(self) -> Tensor:
        """Return the next draw, (1, C, rows, W), float32."""
        channels, height, width = self._shape
        # Elements of the first half are a pair's cosines, those of the second its sines.
        pairs = -(-math.prod(self._shape) // 2)
        first, last = (row * width for row in self._rows)
        device = self._key[0].device
        count = torch.full((1,), self._draws, dtype=torch.int32, device=device)
        self._draws += 1
        normal = torch.empty(channels, last - first, device=device)
        for channel in range(channels):
            begin, end = (channel * height * width + edge for edge in (first, last))
            cosines = (begin, min(end, pairs))
            sines = (max(begin, pairs) - pairs, end - pairs)
            parts = []
            for (start, stop), wave in ((cosines, torch.cos), (sines, torch.sin)):
                if start < stop:
                    pair = torch.arange(start, stop, dtype=torch.int32, device=device)
                    radius, angle = self._polar(pair, count)
                    parts.append(radius.mul_(wave(angle)))
            normal[channel] = torch.cat(parts)
        return normal.view(1, channels, -1, width)

    def _polar(self, pair: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """Return Box and Muller's radius and angle of pairs, as `ItemNoise` makes them."""
        left, right = threefry(self._key, (pair, count))
        uniform = ((left >> 8) & 0xFFFFFF).float().add_(1).mul_(2**-24)
        angle = ((right >> 8) & 0xFFFFFF).float().mul_(2**-24 * 2 * math.pi)
        return uniform.log_().mul_(-2).sqrt_(), angle
