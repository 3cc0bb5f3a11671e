"""Which tiles, turned how, corrupted how, with which noise: functions of the position alone.

Training is a row of positions, `batch` of them per step. Everything drawn for a position comes
from (seed, position), so neither resuming nor dividing the work changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.seeding import derive_seed, rng
from superres.core.tensors import to_signal
from superres.degradation.chain import Degradation
from superres.degradation.dataset import PairSet
from superres.degradation.degrade import degrade, draw_entropies
from superres.diffusion.noise import ItemNoise
from superres.training.config import DropParams

VALIDATION_TILES = 64
"""That are kept on the device and evaluated at each checkpoint, at most."""

JPEG_BLOCK = 8
"""Edge in pixels of what JPEG codes at a time."""

Corrupt = Callable[[range, list[np.ndarray], list[np.ndarray], np.ndarray], None]


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


class HostBatch(NamedTuple):
    """What is read and drawn for a batch on the host, in page-locked memory where a GPU is fed."""

    high: Tensor
    """uint8, (B, H, W, 3)."""
    low: Tensor
    """uint8, (B, h, w, 3)."""
    entropy: Tensor
    draws: Tensor
    """Uniform draws, (B, 4), float64: two for the timestep, one for each condition withheld."""
    seeds: list[int]
    """Of each tile's noise."""

    def to(self, device: torch.device, drop: DropParams) -> TrainingBatch:
        """Return the batch on a device, to which it is copied while the host goes on."""
        high, low, entropy, draws = (
            tensor.to(device, non_blocking=True)
            for tensor in (self.high, self.low, self.entropy, self.draws)
        )
        shape = (3, high.shape[1], high.shape[2])
        return TrainingBatch(
            to_signal(high, device),
            to_signal(low, device),
            entropy,
            ItemNoise(self.seeds, shape, device)(),
            draws[:, 2] < drop.low,
            draws[:, 3] < drop.entropies,
            draws[:, :2],
        )


class Batches:
    """Training batches by position; may be asked by several threads at once.

    Args:
        pairs: the training pairs.
        seed: the experiment's seed.
        drop: shares of tiles whose conditions are withheld.
        corrupt: replaces inputs and entropies, given (positions, tiles, inputs, entropies).
        pinned: whether batches are put into page-locked memory, from which a GPU copies by itself;
            tiles go there straight from the shards.
        crop: edge in pixels of the part of each tile that is given; None: the whole tile.

    Raises:
        SuperresError: a crop larger than the tiles, or one that their scale does not divide.
    """

    def __init__(
        self,
        pairs: PairSet,
        seed: int,
        drop: DropParams,
        corrupt: Corrupt | None = None,
        pinned: bool = False,
        crop: int | None = None,
    ) -> None:
        tile = pairs.high_at(0).shape[0]
        if crop is not None and (crop > tile or crop % pairs.scale):
            raise SuperresError(
                f"train.crop: must be a multiple of degrade.scale {pairs.scale} and at most the "
                f"tiles' {tile} px, got {crop}"
            )
        self._crop = crop
        self._pairs = pairs
        self._seed = seed
        self._corrupt = corrupt
        self._pinned = pinned
        self.drop = drop
        self._order = lru_cache(maxsize=2)(self._draw_order)

    def at(self, first: int, count: int, device: torch.device) -> TrainingBatch:
        """Return the batch of positions first, ..., first + count - 1."""
        return self.read(first, count).to(device, self.drop)

    def read(self, first: int, count: int) -> HostBatch:
        """Return the host's part of the batch of positions first, ..., first + count - 1."""
        positions = range(first, first + count)
        items = [self._item(position) for position in positions]
        streams = [rng(self._seed, "train", position) for position in positions]
        turns = [int(stream.integers(8)) for stream in streams]
        uniform = np.stack([stream.random(4) for stream in streams])
        seeds = [derive_seed(self._seed, "train-noise", position) for position in positions]
        highs = [self._pairs.high_at(item) for item in items]
        lows = [self._pairs.low_at(item) for item in items]
        entropies = self._pairs.entropies(items)
        if self._corrupt is not None:
            self._corrupt(positions, highs, lows, entropies)
        if self._crop is not None:
            streams = [rng(self._seed, "train-crop", position) for position in positions]
            parts = list(map(partial(_part, edge=self._crop), streams, highs, lows))
            highs, lows = [high for high, _ in parts], [low for _, low in parts]
        numbers = (torch.from_numpy(array) for array in (entropies, uniform))
        entropy, draws = (t.pin_memory() if self._pinned else t for t in numbers)
        return HostBatch(
            _turned(highs, turns, self._pinned),
            _turned(lows, turns, self._pinned),
            entropy,
            draws,
            seeds,
        )

    def names(self, first: int, count: int) -> list[str]:
        """Return the pairs' ids at positions."""
        items = [self._item(position) for position in range(first, first + count)]
        return [str(name) for name in self._pairs.rows["id"].iloc[items]]

    def _item(self, position: int) -> int:
        """Return the pair at a position: every pair once per epoch, in an order of its own."""
        epoch, place = divmod(position, len(self._pairs))
        return int(self._order(epoch)[place])

    def _draw_order(self, epoch: int) -> np.ndarray:
        return rng(self._seed, "order", epoch).permutation(len(self._pairs))


class FreshCorruptions:
    """Replaces stored inputs; what is drawn follows from (seed, position) alone.

    Args:
        degradation: what the stored inputs were made by.
        share: of the positions that get a fresh input, in [0, 1].
        seed: the experiment's seed.
        recolored: of those, the share whose original gets other colours first, in [0, 1].
    """

    def __init__(
        self, degradation: Degradation, share: float, seed: int, recolored: float = 0.0
    ) -> None:
        self._degradation, self._share, self._seed = degradation, share, seed
        self._recolored = recolored

    def __call__(
        self,
        positions: range,
        highs: list[np.ndarray],
        lows: list[np.ndarray],
        entropies: np.ndarray,
    ) -> None:
        """Put fresh inputs and their entropies, where they are due, in the place of stored ones.

        Args:
            positions: in the row of all that training sees.
            highs: N tiles, uint8, H x W x 3; those of other colours are replaced.
            lows: N inputs, uint8, h x w x 3; some of them replaced.
            entropies: float32, N x E, in the degradation's order; changed in place.
        """
        if not self._share:
            return
        for place, position in enumerate(positions):
            stream = rng(self._seed, "train-corruption", position)
            if stream.random() < self._share:
                wanted = draw_entropies(self._degradation, stream)
                colours = rng(self._seed, "train-colours", position)
                if colours.random() < self._recolored:
                    highs[place] = in_other_colours(highs[place], colours)
                item = f"fresh-{self._seed}-{position}"
                lows[place], applied = degrade(self._degradation, highs[place], wanted, item)
                entropies[place] = list(applied.values())


def in_other_colours(tile: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """Return a tile with channels in another order, and another saturation, exposure and balance.

    Args:
        tile: uint8, H x W x 3.
        stream: what is drawn from.
    """
    colours = tile[:, :, stream.permutation(3)].astype(np.float32)
    grey = colours.mean(axis=2, keepdims=True)
    colours = grey + (colours - grey) * np.float32(stream.uniform(0.3, 1.3))
    gains = np.exp(stream.normal(0, 0.15) + stream.normal(0, 0.1, 3)).astype(np.float32)
    return np.rint((colours * gains).clip(0, 255)).astype(np.uint8)


def validation_batch(pairs: PairSet, items: np.ndarray, device: torch.device) -> TrainingBatch:
    """Return the batch of these pairs, no condition withheld, each with noise of its own.

    The noise of a pair is always the same.
    """
    count = len(items)
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


def _part(
    stream: np.random.Generator, high: np.ndarray, low: np.ndarray, edge: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a square of a tile and of its input, from the corner of one of JPEG's blocks.

    Args:
        stream: what the place is drawn from.
        high: the tile, H x H x 3.
        low: its input, h x h x 3.
        edge: of the tile's part in pixels.
    """
    scale = high.shape[0] // low.shape[0]
    small = edge // scale
    places = (low.shape[0] - small) // JPEG_BLOCK + 1
    top, left = (JPEG_BLOCK * stream.integers(places, size=2)).tolist()
    part = low[top : top + small, left : left + small]
    top, left = top * scale, left * scale
    return high[top : top + edge, left : left + edge], part


def _turned(pictures: Sequence[np.ndarray], turns: list[int], pinned: bool) -> Tensor:
    """Return square pictures each in one of its 8 orientations (quarter turns and a flip).

    Turning is the one copy between a shard and the memory that a GPU copies from.
    """
    shape = len(pictures), *pictures[0].shape
    turned = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
    for picture, result, turn in zip(pictures, turned.numpy(), turns, strict=True):
        oriented = np.rot90(picture, turn % 4)
        result[...] = oriented[:, ::-1] if turn >= 4 else oriented
    return turned
