"""The loader on a GPU's host: tiles per second, and how long a training step waits for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import import_module
from itertools import count
from typing import Any

import numpy as np
import torch

from benchmarks.cases import ENTROPIES, NETWORKS, SCALE, build
from benchmarks.gpu_training import fast_step
from benchmarks.measuring import Row, wait

PAIRS = 512


class RandomPairs:
    """Training pairs in memory, as `superres.degradation.dataset.PairSet` has them on disk."""

    def __init__(self, size: int) -> None:
        stream = np.random.default_rng(0)
        self._high = stream.integers(0, 256, (PAIRS, size, size, 3), dtype=np.uint8)
        self._low = self._high[:, ::SCALE, ::SCALE].copy()

    def __len__(self) -> int:
        return PAIRS

    def high_at(self, index: int) -> np.ndarray:
        """Return an original, (H, W, 3)."""
        return self._high[index]

    def low_at(self, index: int) -> np.ndarray:
        """Return an input, (h, w, 3)."""
        return self._low[index]

    def entropies(self, items: Sequence[int]) -> np.ndarray:
        """Return entropies, (B, K)."""
        return np.full((len(items), ENTROPIES), 0.5, dtype=np.float32)


def loading_rows(
    name: str, batch: int, rounds: int, device: torch.device, left_out: list[str]
) -> list[Row]:
    """Return tiles per second of the loader alone, and beside training steps what they wait.

    The loader needs the packages that the project needs; without them it is left out by name.
    """
    try:
        batches_module: Any = import_module("superres.training.data")
        loader_module: Any = import_module("superres.training.prefetch")
        params_module: Any = import_module("superres.training.config")
    except ModuleNotFoundError as error:
        left_out.append(f"loader: needs {error.name}")
        return []
    drop = params_module.DropParams(low=0.0, entropies=0.0)
    pairs = RandomPairs(NETWORKS[name].size)
    batches = batches_module.Batches(pairs, 0, drop, pinned=device.type == "cuda")
    spans = (loader_module.Span(number * batch, batch) for number in count())
    loader = loader_module.Loader(batches, spans, device)
    next(loader)
    alone = []
    for _ in range(10 * rounds):
        begin = time.perf_counter()
        next(loader)
        wait(device)
        alone.append(batch / (time.perf_counter() - begin))
    step = fast_step(build(name, device), name, batch, device)
    step()
    wait(device)
    waited, begin = loader.waited, time.perf_counter()
    for _ in range(4 * rounds):
        next(loader)
        step()
    wait(device)
    taken = time.perf_counter() - begin
    share = (loader.waited - waited) / taken
    loader.close()
    return [
        Row(f"loader alone, {NETWORKS[name].size} px", "tiles/s", alone),
        Row(
            f"{name}: training with the loader, bf16, batch {batch}",
            "images/s",
            [4 * rounds * batch / taken],
            facts={"share waiting for data": share},
        ),
    ]
