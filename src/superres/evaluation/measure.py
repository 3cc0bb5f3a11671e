"""Measuring restored pictures against their originals: one engine for test tiles and for folders.

A contender's pictures are read once. Each goes to everything that is accumulated over them (patches
of SWD, LPIPS and DISTS, the digest that features are found by), then in batches to the figures of
single pictures, which other processes may compute. Its pictures are read again only where the cache
lacks their Inception features, since that is known when all have passed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from superres.core.hashing import PicturesDigest
from superres.core.parallel import WORKERS_VARIABLE, in_order
from superres.core.progress import counting
from superres.metrics.catalog import FeatureSettings
from superres.metrics.config import SwdParams
from superres.metrics.feature_files import describe_cached, features_digest
from superres.metrics.feature_sets import FeatureSet
from superres.metrics.inception import Inception
from superres.metrics.pairwise import (
    Degrade,
    compare,
    compare_features,
    measure_tile,
    without_features,
)
from superres.metrics.perceptual import Distances, Network
from superres.metrics.swd import Patches, sliced_distances
from superres.metrics.weights import Weights

Read = Callable[[int], np.ndarray]
"""The number of a picture to its pixels, uint8, H x W x 3."""
Item = TypeVar("Item")
Result = TypeVar("Result")

_BATCH_PX = 2**18  # pixels that a process measures at a time


@dataclass(frozen=True)
class PictureSet:
    """What restored pictures are compared with, by number."""

    ids: Sequence[str]
    """Names that the places of patches follow from; unique."""
    original: Read
    low: Read | None = None
    """What the pictures were restored from, where that is known."""
    degrade: Callable[[int], Degrade] | None = None
    """How each was made of its original; what it returns can be pickled."""


@dataclass(frozen=True)
class Instruments:
    """What is measured besides the figures of single pictures that need no weights, and with what.

    Originals that were described already are not described again: `swd_reference`, `features`.
    """

    border_crop: int
    settings: FeatureSettings
    swd: SwdParams | None
    """None: the pictures have no levels in common."""
    swd_reference: Sequence[np.ndarray] | None = None
    """The originals' patches by level."""
    networks: Mapping[str, Network] = field(default_factory=dict)
    """Of figures of two pictures, by the figure's name."""
    inception: tuple[Inception, Weights] | None = None
    features: FeatureSet | None = None
    """Of the originals."""
    matlab: bool = False
    """Whether luma is rounded to 8 bits."""

    @property
    def passes(self) -> int:
        """How often the progress bar moves on for each picture."""
        return 1 + (self.inception is not None) * (1 + (self.features is None))


class Measured(NamedTuple):
    """Figures of one contender."""

    rows: list[dict[str, float]]
    """Of each picture, in order."""
    swd: list[float]
    """By level, finest first; empty where it was not measured."""
    sets: dict[str, float | None]
    """Figures of features; None without the network."""
    originals: FeatureSet | None
    """The originals' features."""


class _Picture(NamedTuple):
    restored: np.ndarray
    original: np.ndarray
    low: np.ndarray | None
    degrade: Degrade | None


def measure_contender(
    restored: Read, pictures: PictureSet, instruments: Instruments, bar: tqdm
) -> Measured:
    """Return the figures of one contender.

    Args:
        restored: gives its pictures.
        pictures: the originals, of the same sizes.
        instruments: what is measured.
        bar: moved by `instruments.passes` for each picture.

    Raises:
        SuperresError: a picture that cannot be read, or that `border_crop` leaves too small.
    """
    ids = pictures.ids
    patches = _Patches(pictures, instruments)
    distances = {name: Distances(network) for name, network in instruments.networks.items()}
    digests = _Digests(instruments)

    def accumulate(picture: _Picture, name: str) -> None:
        patches.add(picture, name)
        digests.add(picture, name)
        for one in distances.values():
            one.add(picture.restored, picture.original)

    batches = _batches(restored, pictures, accumulate)
    measure = partial(
        _measure_batch, border_crop=instruments.border_crop, matlab=instruments.matlab
    )
    rows = list(counting(chain.from_iterable(spread(measure, batches)), bar))
    for figure, found in distances.items():
        rows = [row | {figure: one} for row, one in zip(rows, found.finish(), strict=True)]
    sets, original = without_features(), None
    if instruments.inception is not None:
        network = instruments.inception[0]

        def described(key: str, read: Read) -> FeatureSet:
            return describe_cached(network, key, partial(map, read, range(len(ids))), ids, bar)

        features = described(digests.restored.hexdigest(), restored)
        original = instruments.features
        if original is None:
            original = described(digests.original.hexdigest(), pictures.original)
        sets = compare_features(original, features, instruments.settings)
    return Measured(rows, patches.distances(), sets, original)


def spread(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order; in SUPERRES_WORKERS processes if that is set.

    Not on all cores by default: a process takes seconds to start, more than small sets need.

    Args:
        function: at module level, or a `partial` of such a one.
        items: that can be pickled; a window of them is held.
    """
    if os.environ.get(WORKERS_VARIABLE):
        yield from in_order(function, items, prefer="processes")
    else:
        yield from map(function, items)


def _batches(
    restored: Read, pictures: PictureSet, accumulate: Callable[[_Picture, str], None]
) -> Iterator[list[_Picture]]:
    """Yield all pictures in batches of about `_BATCH_PX` pixels; each is accumulated first."""
    batch: list[_Picture] = []
    for number, name in enumerate(pictures.ids):
        picture = _Picture(
            restored(number),
            pictures.original(number),
            pictures.low(number) if pictures.low is not None else None,
            pictures.degrade(number) if pictures.degrade is not None else None,
        )
        accumulate(picture, name)
        batch.append(picture)
        if sum(one.restored[..., 0].size for one in batch) >= _BATCH_PX:
            yield batch
            batch = []
    if batch:
        yield batch


def _measure_batch(batch: list[_Picture], border_crop: int, matlab: bool) -> list[dict[str, float]]:
    return [
        compare(picture.restored, picture.original, border_crop, matlab)
        if picture.low is None or picture.degrade is None
        else measure_tile(
            picture.restored, picture.original, picture.low, picture.degrade, border_crop
        )
        for picture in batch
    ]


class _Patches:
    """Patches of a contender, and of the originals where they were not described before."""

    def __init__(self, pictures: PictureSet, instruments: Instruments) -> None:
        self._params = params = instruments.swd
        self._reference = instruments.swd_reference
        self._restored = Patches(pictures.ids, params) if params is not None else None
        described = params is None or self._reference is not None
        self._original = None if described or params is None else Patches(pictures.ids, params)

    def add(self, picture: _Picture, name: str) -> None:
        if self._restored is not None:
            self._restored.add(picture.restored, name)
        if self._original is not None:
            self._original.add(picture.original, name)

    def distances(self) -> list[float]:
        if self._params is None or self._restored is None:
            return []
        reference = self._original.levels if self._original is not None else self._reference
        assert reference is not None
        return sliced_distances(reference, self._restored.levels, self._params)


class _Digests:
    """What a contender's features are found by, and the originals' where they are not known."""

    def __init__(self, instruments: Instruments) -> None:
        self.restored = self.original = PicturesDigest()
        self._active = instruments.inception is not None
        self._both = self._active and instruments.features is None
        if instruments.inception is not None:
            network, weights = instruments.inception
            device = next(network.parameters()).device
            self.restored = features_digest(weights, device)
            self.original = features_digest(weights, device)

    def add(self, picture: _Picture, name: str) -> None:
        if self._active:
            self.restored.add(picture.restored, name)
        if self._both:
            self.original.add(picture.original, name)
