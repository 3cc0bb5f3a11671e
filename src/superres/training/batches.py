"""Which tiles, turned how, with which noise and conditions: functions of the position alone.

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
from superres.params.train import DropParams
from superres.pixels import to_signal
from superres.seeding import derive_seed, rng


class TrainingBatch(NamedTuple):
    """What one forward pass needs, on the device."""

    high: Tensor
    low: Tensor
    entropy: Tensor
    noise: Tensor
    drop_low: Tensor
    """Whether a tile's low-resolution picture is withheld, (B,)."""
    drop_entropies: Tensor
    """Whether its entropies are withheld, (B,)."""
    uniform: Tensor
    """Draws that a timestep sampler makes timesteps of, (B, 2), float64 in [0, 1)."""


class Batches:
    """Training batches by position.

    Args:
        pairs: the training pairs.
        seed: the experiment's seed.
        drop: shares of tiles whose conditions are withheld.
    """

    def __init__(self, pairs: PairSet, seed: int, drop: DropParams) -> None:
        self._pairs = pairs
        self._seed = seed
        self._drop = drop
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def at(self, first: int, count: int, device: torch.device) -> TrainingBatch:
        """Return the batch of positions first, ..., first + count - 1."""
        positions = range(first, first + count)
        items = np.array([self._item(position) for position in positions])
        draws = [rng(self._seed, "train", position) for position in positions]
        turns = [int(draw.integers(8)) for draw in draws]
        uniform = torch.from_numpy(np.stack([draw.random(2) for draw in draws]))
        withheld = torch.from_numpy(np.stack([draw.random(2) for draw in draws])).to(device)
        high = _turned(self._pairs.high(items), turns)
        low = _turned(self._pairs.low(items), turns)
        entropy = torch.from_numpy(self._pairs.entropies(items)).to(device)
        seeds = [derive_seed(self._seed, "train-noise", position) for position in positions]
        shape = (3, high.shape[1], high.shape[2])
        return TrainingBatch(
            to_signal(high, device),
            to_signal(low, device),
            entropy,
            ItemNoise(seeds, shape, device)(),
            withheld[:, 0] < self._drop.low,
            withheld[:, 1] < self._drop.entropies,
            uniform.to(device),
        )

    def _item(self, position: int) -> int:
        """Return the pair at a position: every pair once per epoch, in an order of its own."""
        epoch, place = divmod(position, len(self._pairs))
        if epoch != self._epoch:
            self._order = rng(self._seed, "order", epoch).permutation(len(self._pairs))
            self._epoch = epoch
        return int(self._order[place])


def validation_batch(pairs: PairSet, count: int, device: torch.device) -> TrainingBatch:
    """Return a fixed batch of at most `count` pairs, spread over the set, told everything."""
    count = min(count, len(pairs))
    items = np.linspace(0, len(pairs) - 1, count).round().astype(int)
    high = pairs.high(items)
    seeds = [derive_seed(0, "validation-noise", int(item)) for item in items]
    return TrainingBatch(
        to_signal(high, device),
        to_signal(pairs.low(items), device),
        torch.from_numpy(pairs.entropies(items)).to(device),
        ItemNoise(seeds, (3, high.shape[1], high.shape[2]), device)(),
        torch.zeros(count, dtype=torch.bool, device=device),
        torch.zeros(count, dtype=torch.bool, device=device),
        torch.zeros(count, 2, dtype=torch.float64, device=device),
    )


def _turned(pictures: np.ndarray, turns: list[int]) -> np.ndarray:
    """Return square pictures each in one of its 8 orientations (quarter turns and a flip)."""
    turned = np.empty_like(pictures)
    for picture, result, turn in zip(pictures, turned, turns, strict=True):
        oriented = np.rot90(picture, turn % 4)
        result[...] = oriented[:, ::-1] if turn >= 4 else oriented
    return turned
