"""Every random draw comes from (seed, purpose, item), so order and batch size never matter."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

FEWEST = 8
"""Generators that are made together; fewer are made sooner one by one."""


def derive_seed(seed: int, purpose: str, *items: int | str) -> int:
    """Return a seed in [0, 2**63) that depends on nothing but the arguments.

    Args:
        seed: the experiment's seed, from `params.yaml`.
        purpose: what the draw is for, for example `"degrade"`; keeps streams apart.
        items: what is drawn for: a tile's id, a step, an index.
    """
    text = "\x1f".join([str(int(seed)), purpose, *(str(item) for item in items)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def rng(seed: int, purpose: str, *items: int | str) -> np.random.Generator:
    """Return a NumPy generator for one (seed, purpose, item)."""
    return np.random.Generator(np.random.PCG64(derive_seed(seed, purpose, *items)))


def rngs(
    seed: int, purpose: str, items: Sequence[tuple[int | str, ...]]
) -> list[np.random.Generator]:
    """Return what `rng(seed, purpose, *item)` gives for each item, at a quarter of the cost.

    What NumPy does to spread a seed over a generator's state takes longer than a few draws; here it
    is done for all items at once, which pays from some of them on.
    """
    if len(items) < FEWEST:
        return [rng(seed, purpose, *item) for item in items]
    words = _spread([derive_seed(seed, purpose, *item) for item in items])
    return [np.random.Generator(np.random.PCG64(_Words(state))) for state in words]  # type: ignore[arg-type]


class _Words(ISeedSequence):
    """A state that is known already, in the place of NumPy's `SeedSequence`."""

    def __init__(self, words: np.ndarray) -> None:
        self._words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> np.ndarray:
        """Return the words, which are as many as `PCG64` asks for and of that type."""
        assert n_words == len(self._words) and dtype == self._words.dtype
        return self._words


def _spread(seeds: list[int]) -> np.ndarray:
    """Return `SeedSequence(seed).generate_state(4, np.uint64)` of each seed: N x 4.

    Its algorithm, which NumPy keeps as it is so that streams stay the same, is O'Neill's
    ("Developing a seed_seq alternative", 2015): a pool of four 32-bit words, each hashed into every
    other one.
    """
    pool = np.zeros((4, len(seeds)), np.uint32)
    pool[:2] = np.array(seeds, "<u8").view("<u4").reshape(-1, 2).T
    hashes = _hash_constants(0x43B0D7E5, 0x931E8875, 16)
    pool = _hashed(pool, hashes[:4])
    for word in range(4):
        others = [other for other in range(4) if other != word]
        mixed = pool[others] * np.uint32(0xCA01F9DD)
        mixed -= _hashed(pool[word], hashes[4 + 3 * word : 7 + 3 * word]) * np.uint32(0x4973F715)
        mixed ^= mixed >> np.uint32(16)
        pool[others] = mixed
    state = _hashed(np.concatenate([pool, pool]), _hash_constants(0x8B51F9DD, 0x58F38DED, 8))
    return np.ascontiguousarray(state.T, "<u4").view("<u8").astype(np.uint64, copy=False)


@lru_cache(maxsize=4)
def _hash_constants(first: int, factor: int, count: int) -> np.ndarray:
    """Return for each step what is xored with and what is multiplied by: uint32, count x 2 x 1."""
    powers = [first * pow(factor, step, 2**32) % 2**32 for step in range(count + 1)]
    return np.array([powers[:-1], powers[1:]], np.uint32).T[:, :, np.newaxis]


def _hashed(words: np.ndarray, constants: np.ndarray) -> np.ndarray:
    words = words ^ constants[:, 0]
    words *= constants[:, 1]
    words ^= words >> np.uint32(16)
    return words
