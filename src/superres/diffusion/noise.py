"""Gaussian noise that belongs to an item: a function of (seed, draw, element) and nothing else.

The bits come from the counter-based generator Threefry-2x32 with 20 rounds (Salmon et al. 2011,
"Parallel random numbers: as easy as 1, 2, 3"), so a whole batch is drawn at once, no state is kept
between draws, and every kind of device draws the same bits. Box and Muller make them normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Draw = Callable[[], Tensor]
"""A source of noise: returns fresh standard normal noise of the images' shape."""

ROUNDS = 20
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
PARITY = 0x1BD11BDA


def threefry(
    key: tuple[Tensor, Tensor], counter: tuple[Tensor, Tensor], rounds: int = ROUNDS
) -> tuple[Tensor, Tensor]:
    """Return two words of random bits per counter.

    Args:
        key: two int32 tensors whose bits are taken as unsigned; all four broadcast.
        counter: two int32 tensors, likewise.
        rounds: 20, the published default.
    """
    words = (*key, key[0] ^ key[1] ^ PARITY)
    left, right = torch.broadcast_tensors(counter[0] + key[0], counter[1] + key[1])
    # Overwritten in every round: fresh memory would take longer than the arithmetic.
    left, right = (part.clone(memory_format=torch.contiguous_format) for part in (left, right))
    low = torch.empty_like(right)
    for number in range(rounds):
        left += right
        turn = ROTATIONS[number % len(ROTATIONS)]
        # Shifting an int32 to the right repeats its sign, which the mask removes.
        torch.bitwise_right_shift(right, 32 - turn, out=low)
        low &= (1 << turn) - 1
        low.add_(right, alpha=1 << turn)  # shifts to the left and fills the gap at once
        low ^= left
        right, low = low, right
        if number % 4 == 3:
            block = number // 4 + 1
            left += words[block % 3]
            right += words[(block + 1) % 3] + block
    return left, right


class ItemNoise:
    """A source of noise for a batch in which every item has its own random stream.

    Args:
        seeds: one 64-bit seed per item (`superres.core.seeding.derive_seed`).
        shape: (C, H, W) of one item.
        device: where the noise is drawn; the values differ between devices by rounding alone.
        rows: the first row that is wanted, and the one after the last; by default all of them. They
            are what is drawn there for all rows, but for rounding, without drawing the rest.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        shape: Sequence[int],
        device: torch.device | str = "cpu",
        rows: tuple[int, int] | None = None,
    ) -> None:
        words = torch.tensor([[_signed(seed), _signed(seed >> 32)] for seed in seeds])
        key = words.to(device, torch.int32)
        self._key = (key[:, :1], key[:, 1:])
        self._shape = tuple(shape)
        self._rows = rows
        # Elements of an item's first half are the cosines of pairs, those of the second the sines.
        self._pairs = -(-math.prod(shape) // 2)
        self._all_pairs = None if rows else self._pair_numbers(0, self._pairs)
        self._draws = 0

    def __call__(self) -> Tensor:
        """Return the next draw of every item, (B, C, H or rows, W), float32."""
        count = torch.full((1,), self._draws, dtype=torch.int32, device=self._key[0].device)
        self._draws += 1
        return self._of_all(count) if self._rows is None else self._of_rows(count, *self._rows)

    def _of_all(self, count: Tensor) -> Tensor:
        assert self._all_pairs is not None
        radius, angle = _polar(self._key, self._all_pairs, count)
        pairs = self._pairs
        normal = angle.new_empty(len(angle), 2 * pairs)
        torch.cos(angle, out=normal[:, :pairs]).mul_(radius)
        torch.sin(angle, out=normal[:, pairs:]).mul_(radius)
        return normal[:, : math.prod(self._shape)].reshape(-1, *self._shape)

    def _of_rows(self, count: Tensor, top: int, bottom: int) -> Tensor:
        channels, height, width = self._shape
        pairs = self._pairs
        normal = torch.empty(
            len(self._key[0]), channels, (bottom - top) * width, device=count.device
        )
        for channel in range(channels):
            begin, end = ((channel * height + row) * width for row in (top, bottom))
            at = 0
            for first, last, wave in (
                (begin, min(end, pairs), torch.cos),
                (max(begin, pairs) - pairs, end - pairs, torch.sin),
            ):
                if first < last:
                    radius, angle = _polar(self._key, self._pair_numbers(first, last), count)
                    normal[:, channel, at : at + last - first] = radius.mul_(wave(angle))
                    at += last - first
        return normal.view(-1, channels, bottom - top, width)

    def _pair_numbers(self, first: int, last: int) -> Tensor:
        return torch.arange(first, last, dtype=torch.int32, device=self._key[0].device)


def _polar(key: tuple[Tensor, Tensor], pairs: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Return Box and Muller's radius and angle of pairs, each (B, number of pairs), float32."""
    left, right = threefry(key, (pairs, count))
    # 24 bits each, all that a float32 holds; the radius' uniform is never 0.
    radius = _upper_bits(left).add_(1).mul_(2**-24).log_().mul_(-2).sqrt_()
    angle = _upper_bits(right).mul_(2**-24 * 2 * math.pi)
    return radius, angle


def _upper_bits(words: Tensor) -> Tensor:
    """Return the upper 24 bits of words, which are overwritten, as float32."""
    words >>= 8
    words &= 0xFFFFFF
    return words.float()


def _signed(word: int) -> int:
    """Return a number's lowest 32 bits as the int32 that has them."""
    word &= 0xFFFFFFFF
    return word - 2**32 if word >= 2**31 else word
