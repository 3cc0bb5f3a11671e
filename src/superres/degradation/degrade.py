"""How a low-resolution input is made of a tile: downsampling, then a chain of corruptions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from superres.core.errors import SuperresError
from superres.core.seeding import rng
from superres.degradation.chain import Degradation
from superres.degradation.corruptions import CORRUPTIONS, quantise
from superres.degradation.downsampling import DOWNSAMPLINGS

DISTRIBUTIONS: dict[str, Callable[[float], float]] = {
    "uniform": lambda u: u,
    "cosine": lambda u: 1 - math.cos(u * math.pi / 2),
    "fixed": lambda _: 1.0,
}
"""What `distribution` may be: a uniform number in [0, 1) to an entropy in [0, 1], between the ends
of the range."""
SMALLEST = 1e-6
"""Entropy of a randomly chosen corruption at least, since 0 says that it was not applied."""


def draw_entropy(rng: np.random.Generator, distribution: str, low: float, high: float) -> float:
    """Return a corruption's entropy in [low, high], drawn from one of `DISTRIBUTIONS`.

    It has six decimals at most: the manifest holds it as text, and reading it back must give the
    very entropy that was applied.
    """
    unit = DISTRIBUTIONS[distribution](rng.random())
    return min(max(round(low + (high - low) * unit, 6), low), high)


def draw_entropies(degradation: Degradation, rng: np.random.Generator) -> dict[str, float]:
    """Return an entropy for each corruption, by name; 0 for those that the draw passes over."""
    entropies = {
        step.name: draw_entropy(rng, step.distribution, step.low, step.high)
        for step in degradation.corruptions
    }
    chosen = [step.name for step in degradation.corruptions if not step.always]
    if chosen:
        taken = set(rng.choice(chosen, min(degradation.random, len(chosen)), replace=False))
        entropies |= {
            name: max(entropies[name], SMALLEST) if name in taken else 0.0 for name in chosen
        }
    for step in degradation.corruptions:
        if step.probability < 1:
            gets = rng.random() < step.probability and (step.always or entropies[step.name] > 0)
            entropies[step.name] = max(entropies[step.name], SMALLEST) if gets else 0.0
    return entropies


def degrade(
    degradation: Degradation, tile: np.ndarray, entropies: Mapping[str, float], item: str
) -> tuple[np.ndarray, dict[str, float]]:
    """Return the low-resolution input and the entropies actually applied, in `names`' order.

    Between corruptions pixels stay float32; they are rounded to 8 bits once, at the end (and
    inside each file format). What a corruption draws for itself follows from (the degradation's
    seed, the item, its name): other entropies or another picture under the same item get the same
    noise.

    Args:
        degradation: scale and corruptions.
        tile: uint8, H x W x 3.
        entropies: for each of the degradation's `names` and nothing else, a number in [0, 1].
        item: identity of the input, such as the pair's id.

    Returns:
        uint8, H/scale x W/scale x 3, and an entropy in [0, 1] by name, of six decimals at most
        where a corruption could not be applied just as strongly as asked.

    Raises:
        SuperresError: a downsampling or a kind of corruption that this version does not know.
    """
    return corrupt(degradation, downsample(degradation, tile), entropies, item)


def downsample(degradation: Degradation, tiles: np.ndarray) -> np.ndarray:
    """Return tiles made smaller, not yet corrupted.

    Args:
        degradation: its scale and downsampling are used.
        tiles: uint8, any number of axes, then H x W x 3.

    Returns:
        float32, ... x H/scale x W/scale x 3, in [0, 1].

    Raises:
        SuperresError: a downsampling that this version does not know.
    """
    if degradation.downsampling not in DOWNSAMPLINGS:
        known = ", ".join(DOWNSAMPLINGS)
        raise SuperresError(
            f"degradation: unknown downsampling {degradation.downsampling!r}, known: {known}"
        )
    return DOWNSAMPLINGS[degradation.downsampling](tiles, degradation.scale)


def corrupt(
    degradation: Degradation, image: np.ndarray, entropies: Mapping[str, float], item: str
) -> tuple[np.ndarray, dict[str, float]]:
    """Return what `degrade` does of a tile that is downsampled already.

    Args:
        degradation: its corruptions are applied, its scale is not.
        image: float32, h x w x 3, in [0, 1]; not changed.
        entropies: as for `degrade`.
        item: as for `degrade`.
    """
    names = degradation.names
    if set(entropies) != set(names):
        raise ValueError(f"entropies are for {list(entropies)}, wanted {list(names)}")
    applied = {}
    for step in degradation.corruptions:
        entropy = float(entropies[step.name])
        if not 0 <= entropy <= 1:
            raise ValueError(f"the entropy of {step.name} must be in [0, 1], got {entropy}")
        if step.kind not in CORRUPTIONS:
            known = ", ".join(CORRUPTIONS)
            raise SuperresError(f"degradation: unknown kind {step.kind!r}, known: {known}")
        if entropy == 0 and step.optional:
            applied[step.name] = 0.0
            continue
        stream = partial(rng, degradation.seed, "corrupt", item, step.name)
        image, exactly = CORRUPTIONS[step.kind](image, entropy, stream, degradation.blur_scale)
        applied[step.name] = entropy if exactly == entropy else round(exactly, 6)
    return quantise(image), applied
