"""Which tiles, turned how, with which timesteps and noise: functions of the position alone.

Training is a row of positions, `batch` of them per step. Everything drawn for a position comes
from (seed, position), so neither resuming nor dividing the work changes anything.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from superres.data.dataset import PairSet
from superres.diffusion.noise import ItemNoise
from superres.pixels import to_signal
from superres.seeding import derive_seed, rng

NOISIEST = 0.05
"""The share of the timesteps that `high_noise` draws more often."""


class Batch(NamedTuple):
    """What one forward pass needs, on the device."""

    high: Tensor
    low: Tensor
    entropy: Tensor
    timesteps: Tensor
    noise: Tensor


class Batches:
    """Training batches by position.

    Args:
        pairs: the training pairs.
        seed: the experiment's seed.
        diffusion_steps: timesteps to draw from.
        high_noise: share of the timesteps drawn from the noisiest twentieth.
    """

    def __init__(
        self, pairs: PairSet, seed: int, diffusion_steps: int, high_noise: float = 0.0
    ) -> None:
        self._pairs = pairs
        self._seed = seed
        self._timesteps = diffusion_steps
        self._high_noise = high_noise
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def at(self, first: int, count: int, device: torch.device) -> Batch:
        """Return the batch of positions first, ..., first + count - 1."""
        positions = range(first, first + count)
        items = np.array([self._item(position) for position in positions])
        draws = [rng(self._seed, "train", position) for position in positions]
        turns = [int(draw.integers(8)) for draw in draws]
        timesteps = [self._timestep(draw) for draw in draws]
        high = _turned(self._pairs.high(items), turns)
        low = _turned(self._pairs.low(items), turns)
        entropy = torch.from_numpy(self._pairs.entropies(items)).to(device)
        seeds = [derive_seed(self._seed, "train-noise", position) for position in positions]
        shape = (3, high.shape[1], high.shape[2])
        return Batch(
            to_signal(high, device),
            to_signal(low, device),
            entropy,
            torch.tensor(timesteps, device=device),
            ItemNoise(seeds, shape, device)(),
        )

    def _item(self, position: int) -> int:
        """Return the pair at a position: every pair once per epoch, in an order of its own."""
        epoch, place = divmod(position, len(self._pairs))
        if epoch != self._epoch:
            self._order = rng(self._seed, "order", epoch).permutation(len(self._pairs))
            self._epoch = epoch
        return int(self._order[place])

    def _timestep(self, draw: np.random.Generator) -> int:
        start = 1 - NOISIEST if draw.random() < self._high_noise else 0.0
        return int((start + (1 - start) * draw.random()) * self._timesteps)


def validation_batch(
    pairs: PairSet, count: int, diffusion_steps: int, device: torch.device
) -> Batch:
    """Return a fixed batch of at most `count` pairs, spread over the set and the timesteps."""
    count = min(count, len(pairs))
    items = np.linspace(0, len(pairs) - 1, count).round().astype(int)
    spread = (torch.arange(count, device=device) + 0.5) / count * diffusion_steps
    high = pairs.high(items)
    seeds = [derive_seed(0, "validation-noise", int(item)) for item in items]
    return Batch(
        to_signal(high, device),
        to_signal(pairs.low(items), device),
        torch.from_numpy(pairs.entropies(items)).to(device),
        spread.long(),
        ItemNoise(seeds, (3, high.shape[1], high.shape[2]), device)(),
    )


def _turned(pictures: np.ndarray, turns: list[int]) -> np.ndarray:
    """Return square pictures each in one of its 8 orientations (quarter turns and a flip)."""
    turned = np.empty_like(pictures)
    for picture, result, turn in zip(pictures, turned, turns, strict=True):
        oriented = np.rot90(picture, turn % 4)
        result[...] = oriented[:, ::-1] if turn >= 4 else oriented
    return turned
