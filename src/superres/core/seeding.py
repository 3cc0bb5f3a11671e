"""Every random draw comes from (seed, purpose, item), so order and batch size never matter."""

from __future__ import annotations

import hashlib

import numpy as np


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
