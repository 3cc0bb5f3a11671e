"""Corrupting tiles anew each time they are seen, beside the inputs that are stored.

Apart from the batches, so that only training depends on the corruptions' code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superres.core.seeding import rng
from superres.degradation.chain import Degradation
from superres.degradation.degrade import degrade, draw_entropies


class FreshCorruptions:
    """Replaces stored inputs; what is drawn follows from (seed, position) alone.

    Args:
        degradation: what the stored inputs were made by.
        share: of the positions that get a fresh input, in [0, 1].
        seed: the experiment's seed.
    """

    def __init__(self, degradation: Degradation, share: float, seed: int) -> None:
        self._degradation, self._share, self._seed = degradation, share, seed

    def __call__(
        self,
        positions: range,
        highs: Sequence[np.ndarray],
        lows: list[np.ndarray],
        entropies: np.ndarray,
    ) -> None:
        """Put fresh inputs and their entropies, where they are due, in the place of stored ones.

        Args:
            positions: in the row of all that training sees.
            highs: N tiles, uint8, H x W x 3.
            lows: N inputs, uint8, h x w x 3; some of them replaced.
            entropies: float32, N x E, in the degradation's order; changed in place.
        """
        if not self._share:
            return
        for place, position in enumerate(positions):
            stream = rng(self._seed, "train-corruption", position)
            if stream.random() < self._share:
                strengths = draw_entropies(self._degradation, stream)
                item = f"fresh-{self._seed}-{position}"
                lows[place], applied = degrade(self._degradation, highs[place], strengths, item)
                entropies[place] = list(applied.values())
