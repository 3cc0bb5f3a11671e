"""What the estimator of corruption entropies learns from: functions of the step alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from superres.core.seeding import rng
from superres.core.tensors import to_signal
from superres.degradation.chain import Degradation
from superres.degradation.dataset import PairSet
from superres.degradation.degrade import degrade, draw_entropies
from superres.entropy.config import EntropyParams
from superres.entropy.network import CELL, LEVELS

STREAM = "strengths"
"""Part of the names that random draws have; another word would draw other numbers."""

SOFTEST, SHARPEST = 0.1, 30.0
"""Sharpness up to which, and from which on, tiles are drawn alike, in levels: below is nothing,
beyond is grain."""


class EstimatorInputs:
    """Low-resolution pictures and their entropies, drawn anew for each step.

    Args:
        pairs: the train pairs, of one corruption at least.
        params: how they are drawn.
    """

    def __init__(self, pairs: PairSet, params: EntropyParams) -> None:
        self._pairs, self._params = pairs, params
        evened = [name in params.evenly for name in pairs.entropy_names]
        sharpness = pairs.rows["sharpness"].to_numpy(np.float64).clip(SOFTEST, SHARPEST)
        detailed = sharpness**params.detail
        even = even_shares(pairs.entropies(np.arange(len(pairs)))[:, evened])
        self._ends = {True: _ends(detailed), False: _ends(even * detailed)}
        """Of each input's share, by whether inputs are fresh."""
        self._degradation = evenly_drawn(pairs.degradation, params.evenly)

    def at(self, step: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return pictures in [-1, 1], (B, 3, h, w), and their entropies, (B, corruptions).

        Both lie on the device. The pictures are turned, and some steps' are a cell smaller.
        """
        draws = rng(self._params.seed, STREAM, step)
        fresh = draws.random(self._params.batch) < self._params.fresh_corruptions
        places = draws.random(self._params.batch)
        drawn = (np.searchsorted(self._ends[which], places, "right") for which in (True, False))
        items = np.where(fresh, *drawn)
        lows, entropies = self._pairs.low(items), self._pairs.entropies(items)
        for place in np.flatnonzero(fresh):
            tile = self._pairs.high_at(items[place])
            wanted = draw_entropies(self._degradation, draws)
            item = f"estimator-{self._params.seed}-{step}-{place}"
            lows[place], applied = degrade(self._degradation, tile, wanted, item)
            entropies[place] = list(applied.values())
        low = _turned(to_signal(lows, device), draws)
        if draws.random() < self._params.shifted:
            low = _shifted(low, draws)
        return low, torch.from_numpy(entropies).to(device)


def evenly_drawn(degradation: Degradation, names: Sequence[str]) -> Degradation:
    """Return a degradation that draws these corruptions' entropies evenly, as often as before."""
    steps = [
        replace(step, distribution="uniform") if step.name in names else step
        for step in degradation.corruptions
    ]
    return replace(degradation, corruptions=tuple(steps))


def even_shares(entropies: np.ndarray) -> np.ndarray:
    """Return how often each input is to be drawn, (N,), summing up to 1.

    Where a corruption was applied, its entropies come equally often from each of `LEVELS` - 1 equal
    parts of [0, 1], as far as there are any; inputs without it keep their share.

    Args:
        entropies: of the inputs, (N, corruptions), in [0, 1].
    """
    shares = np.ones(len(entropies))
    for column in entropies.T:
        applied = column > 0
        places = np.minimum((column[applied] * (LEVELS - 1)).astype(int), LEVELS - 2)
        counts = np.bincount(places, minlength=LEVELS - 1)
        wanted = 1 / counts[places]
        shares[applied] *= wanted * len(places) / max(1, np.count_nonzero(counts))
    return shares / shares.sum()


def _ends(weights: np.ndarray) -> np.ndarray:
    """Return where in [0, 1) the share of each input ends; the last one's is 1, which none is."""
    ends = np.cumsum(weights)
    return ends / ends[-1]


def _turned(low: Tensor, draws: np.random.Generator) -> Tensor:
    """Return inputs mirrored and transposed by chance, which keeps the grid of JPEG's blocks.

    That holds where it divides the inputs; elsewhere it shifts the grid, and no harm is done.
    """
    for axis in (2, 3):
        if draws.random() < 0.5:
            low = low.flip(axis)
    return low.transpose(2, 3) if draws.random() < 0.5 else low


def _shifted(low: Tensor, draws: np.random.Generator) -> Tensor:
    """Return inputs cut off their grid, a cell smaller; as they are if they have only one."""
    height, width = low.shape[-2:]
    if min(height, width) < 2 * CELL:
        return low
    down, across = draws.integers(0, CELL, 2)
    return low[..., down : down + height - CELL, across : across + width - CELL]
