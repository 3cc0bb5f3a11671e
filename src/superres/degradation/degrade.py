"""How a low-resolution input is made of a tile: downsampling, then a chain of corruptions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

import numpy as np

from superres.core.errors import SuperresError
from superres.core.seeding import rng, rngs
from superres.degradation.chain import Degradation, Step
from superres.degradation.corruptions import CORRUPTIONS, TOGETHER, AllCorrupted, quantise
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
    return _entropy(rng.random(), distribution, low, high)


def draw_entropies(degradation: Degradation, rng: np.random.Generator) -> dict[str, float]:
    """Return an entropy for each corruption, by name; 0 for those that the draw passes over."""
    steps = degradation.corruptions
    entropies = {
        step.name: _entropy(drawn, step.distribution, step.low, step.high)
        for step, drawn in zip(steps, rng.random(len(steps)).tolist(), strict=True)
    }
    chosen = [step.name for step in steps if not step.always]
    if chosen:
        taken = set(rng.choice(chosen, min(degradation.random, len(chosen)), replace=False))
        entropies |= {
            name: max(entropies[name], SMALLEST) if name in taken else 0.0 for name in chosen
        }
    rare = [step for step in steps if step.probability < 1]
    for step, drawn in zip(rare, rng.random(len(rare)).tolist(), strict=True):
        gets = drawn < step.probability and (step.always or entropies[step.name] > 0)
        entropies[step.name] = max(entropies[step.name], SMALLEST) if gets else 0.0
    return entropies


def _entropy(drawn: float, distribution: str, low: float, high: float) -> float:
    unit = DISTRIBUTIONS[distribution](drawn)
    return min(max(round(low + (high - low) * unit, 6), low), high)


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
    image = downsample(degradation, tile)
    lows, applied = corrupt(degradation, [image[np.newaxis]], [entropies], [item])
    return lows[0], dict(zip(degradation.names, applied[0].tolist(), strict=True))


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
    degradation: Degradation,
    blocks: Iterable[np.ndarray],
    entropies: Sequence[Mapping[str, float]],
    items: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `degrade` does of tiles that are downsampled already: each as if it were alone.

    Args:
        degradation: its corruptions are applied, its scale is not.
        blocks: float32, n x h x w x 3, in [0, 1], not changed; N images together. A block is worked
            on as a whole: it and what is made of it on the way should fit in a core's own cache.
        entropies: of each image, as for `degrade`.
        items: likewise.

    Returns:
        uint8, N x h x w x 3, and the entropies applied: float64, N x corruptions.
    """
    asked = _in_columns(degradation, entropies)
    applied = np.zeros((len(items), len(asked)))
    rows = [
        _Row(step, strengths, items, degradation, applied[:, number])
        for number, (step, strengths) in enumerate(zip(degradation.corruptions, asked, strict=True))
    ]
    lows = []
    begin = 0
    for block in blocks:
        images, here = block, range(begin, begin + len(block))
        for row in rows:
            images = row.corrupt(images, here)
        lows.append(quantise(images))
        begin = here.stop
    return np.concatenate(lows), applied


def _in_columns(
    degradation: Degradation, entropies: Sequence[Mapping[str, float]]
) -> list[list[float]]:
    """Return the entropies of all images for each corruption."""
    names = degradation.names
    for each in entropies:
        if set(each) != set(names):
            raise ValueError(f"entropies are for {list(each)}, wanted {list(names)}")
    columns = [[float(each[name]) for each in entropies] for name in names]
    for name, column in zip(names, columns, strict=True):
        for entropy in column:
            if not 0 <= entropy <= 1:
                raise ValueError(f"the entropy of {name} must be in [0, 1], got {entropy}")
    return columns


class _Row:
    """One corruption of all images, which come in blocks."""

    def __init__(
        self,
        step: Step,
        entropies: list[float],
        items: Sequence[str],
        degradation: Degradation,
        applied: np.ndarray,
    ) -> None:
        """Take what is known of all images.

        Args:
            step: the corruption.
            entropies: of each image.
            items: likewise.
            degradation: its seed and its scale of blurs are used.
            applied: where the entropies actually applied go, of each image.
        """
        if step.kind not in CORRUPTIONS:
            known = ", ".join(CORRUPTIONS)
            raise SuperresError(f"degradation: unknown kind {step.kind!r}, known: {known}")
        self._step = step
        self._entropies = entropies
        self._items = items
        self._seed, self._blur_scale = degradation.seed, degradation.blur_scale
        self._applied = applied
        self._streams = self._all_streams()

    def corrupt(self, images: np.ndarray, here: range) -> np.ndarray:
        """Return a block in which those that get the corruption are replaced; the next in turn.

        Args:
            images: float32, n x h x w x 3, not changed.
            here: their places among all.
        """
        places = [place for place in here if self._gets_it(place)]
        if not places:
            return images
        within = np.array(places) - here.start
        some = images if len(places) == len(images) else images[within]
        entropies = [self._entropies[place] for place in places]
        if self._step.kind in TOGETHER:
            together = TOGETHER[self._step.kind]
            streams = partial(_take, self._streams, len(places))
            changed, exactly = together(some, entropies, streams, self._blur_scale)
        else:
            changed, exactly = self._one_by_one(some, places)
        self._applied[places] = [
            entropy if exact == entropy else round(exact, 6)
            for entropy, exact in zip(entropies, exactly, strict=True)
        ]
        if len(places) == len(images):
            return changed
        images = images.copy()
        images[within] = changed
        return images

    def _gets_it(self, place: int) -> bool:
        return self._entropies[place] > 0 or not self._step.optional

    def _one_by_one(self, images: np.ndarray, places: list[int]) -> AllCorrupted:
        corruption = CORRUPTIONS[self._step.kind]
        changed, applied = np.empty_like(images), []
        for number, place in enumerate(places):
            stream = partial(rng, self._seed, "corrupt", self._items[place], self._step.name)
            entropy = self._entropies[place]
            changed[number], exactly = corruption(images[number], entropy, stream, self._blur_scale)
            applied.append(exactly)
        return changed, applied

    def _all_streams(self) -> Iterator[np.random.Generator]:
        """Yield the generator of each image that gets it.

        All are made when the first is asked for: a corruption that draws nothing costs nothing.
        """
        places = filter(self._gets_it, range(len(self._items)))
        items = [(self._items[place], self._step.name) for place in places]
        yield from rngs(self._seed, "corrupt", items)


def _take(streams: Iterator[np.random.Generator], count: int) -> list[np.random.Generator]:
    return list(islice(streams, count))
