"""Measuring restored pictures against their originals: one engine for test tiles and for folders.

A contender's pictures are dealt out to the processes of the stage in pieces and read once. Each
goes to everything that is made of it (patches of SWD, LPIPS and DISTS, the digest that features
are found by), then in batches to the figures of single pictures, which workers of the process may
compute; the first process joins what all have found, in the order of the pictures. They are read
again only where the cache lacks their Inception features, since that is known when all have passed.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from superres.core.distributed import Processes
from superres.core.hashing import PicturesDigest
from superres.core.parallel import WORKERS_VARIABLE, in_order
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

PIECE = 32
"""Pictures that one process measures before the next one's are due; a constant, since what is
computed together may decide how floats are rounded."""
_BATCH_PX = 2**18  # pixels that a worker measures at a time


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


@dataclass
class _Piece:
    """What one process has found of pictures that follow each other."""

    rows: list[dict[str, float]]
    """Figures of each."""
    patches: list[list[np.ndarray]]
    """Of each restored picture, by level."""
    originals: list[list[np.ndarray]]
    """Of the originals where they were not described before."""
    digests: list[bytes]
    """Of the restored, where features are wanted."""
    digests_of_originals: list[bytes]


def measure_contender(
    restored: Read,
    pictures: PictureSet,
    instruments: Instruments,
    processes: Processes,
    bar: tqdm,
) -> Measured | None:
    """Return the figures of one contender.

    Args:
        restored: gives its pictures.
        pictures: the originals, of the same sizes.
        instruments: what is measured.
        processes: this one among its peers, all of which call this.
        bar: moved by `instruments.passes` for each picture, in the first process.

    Returns:
        To the first process; None to the others.

    Raises:
        SuperresError: a picture that cannot be read, or that `border_crop` leaves too small.
    """
    ids = pictures.ids
    share = _Share(restored, pictures, instruments)
    pieces = [range(at, min(at + PIECE, len(ids))) for at in range(0, len(ids), PIECE)]
    mine = share.measured(processes.deal(pieces))
    rows: list[dict[str, float]] = []
    patches, digests = _Patches(pictures, instruments), _Digests(instruments)
    for piece, part in processes.in_order(pieces, mine):
        names = [ids[number] for number in piece]
        rows += part.rows
        patches.put(names, part)
        digests.put(part)
        bar.update(len(piece))
    sets, original = without_features(), None
    if instruments.inception is not None:
        network = instruments.inception[0]

        def described(key: str, read: Read) -> FeatureSet | None:
            return describe_cached(network, key, read, ids, processes, bar)

        features = described(digests.restored.hexdigest(), restored)
        original = instruments.features
        if original is None:
            original = described(digests.original.hexdigest(), pictures.original)
        if features is not None and original is not None:
            sets = compare_features(original, features, instruments.settings)
    if not processes.writes:
        return None
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


class _Share:
    """What one process measures of a contender."""

    def __init__(self, restored: Read, pictures: PictureSet, instruments: Instruments) -> None:
        self._restored, self._pictures = restored, pictures
        self._instruments = instruments
        ids, params = pictures.ids, instruments.swd
        self._patches = Patches(ids, params) if params is not None else None
        self._both = instruments.swd_reference is None

    def measured(self, pieces: Sequence[range]) -> Iterator[_Piece]:
        """Yield what is found of each piece, reading ahead as far as the workers do."""
        begun: deque[_Piece] = deque()
        distances: deque[dict[str, Distances]] = deque()
        how = self._instruments
        measure = partial(_measure_batch, border_crop=how.border_crop, matlab=how.matlab)
        batches = self._batches(pieces, begun, distances)
        rows = chain.from_iterable(spread(measure, batches))
        for piece in pieces:
            figures = list(islice(rows, len(piece)))
            found = begun.popleft()
            found.rows = figures
            for figure, passed in distances.popleft().items():
                found.rows = [
                    row | {figure: one}
                    for row, one in zip(found.rows, passed.finish(), strict=True)
                ]
            yield found

    def _batches(
        self,
        pieces: Sequence[range],
        begun: deque[_Piece],
        distances: deque[dict[str, Distances]],
    ) -> Iterator[list[_Picture]]:
        """Yield pictures in batches of about `_BATCH_PX` pixels; what is made of each goes first.

        No batch is of two pieces: what is computed together must not follow from who computes.
        """
        for piece in pieces:
            begun.append(_Piece([], [], [], [], []))
            networks = self._instruments.networks
            distances.append({name: Distances(network) for name, network in networks.items()})
            batch: list[_Picture] = []
            for number in piece:
                picture = self._read(number)
                self._look_at(picture, self._pictures.ids[number], begun[-1])
                for one in distances[-1].values():
                    one.add(picture.restored, picture.original)
                batch.append(picture)
                if sum(one.restored[..., 0].size for one in batch) >= _BATCH_PX:
                    yield batch
                    batch = []
            if batch:
                yield batch

    def _read(self, number: int) -> _Picture:
        pictures = self._pictures
        return _Picture(
            self._restored(number),
            pictures.original(number),
            pictures.low(number) if pictures.low is not None else None,
            pictures.degrade(number) if pictures.degrade is not None else None,
        )

    def _look_at(self, picture: _Picture, name: str, piece: _Piece) -> None:
        if self._patches is not None:
            piece.patches.append(self._patches.of(picture.restored, name))
            if self._both:
                piece.originals.append(self._patches.of(picture.original, name))
        if self._instruments.inception is not None:
            piece.digests.append(PicturesDigest.of(picture.restored, name))
            if self._instruments.features is None:
                piece.digests_of_originals.append(PicturesDigest.of(picture.original, name))


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

    def put(self, names: Sequence[str], piece: _Piece) -> None:
        for into, found in ((self._restored, piece.patches), (self._original, piece.originals)):
            if into is not None:
                for name, levels in zip(names, found, strict=True):
                    into.put(name, levels)

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
        if instruments.inception is not None:
            network, weights = instruments.inception
            device = next(network.parameters()).device
            self.restored = features_digest(weights, device)
            self.original = features_digest(weights, device)

    def put(self, piece: _Piece) -> None:
        for into, found in (
            (self.restored, piece.digests),
            (self.original, piece.digests_of_originals),
        ):
            for digest in found:
                into.put(digest)
