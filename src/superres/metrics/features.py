"""From pictures to features of the Inception network.

pictures -> features (float32, 2048 each) -> mean, covariance (float64, of all) and a sample (held)

The features themselves, which KID, precision and recall need, are held up to `HELD_AT_MOST` of
them: 20,000 are 164 MB. Of a larger set each process accumulates the moments of whole blocks, which
are merged in the order of the blocks: one process and many give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch

from superres.core.distributed import Processes
from superres.core.seeding import derive_seed
from superres.metrics.feature_sets import FeatureSet, Moments, feature_set
from superres.metrics.inception import Inception, prepare

LAYER = "2048"
WIDTH = 2048
"""Features per picture."""
HELD_AT_MOST = 20_000
"""A larger set is represented by this many of its features, drawn by id."""
BATCH = 32
"""Pictures at a time; a constant, since sums in another order differ in their last bits."""
BLOCK = 1024
"""Pictures whose moments one process accumulates (34 MB), where not all features are held; a
constant, likewise."""


def describe_pictures(
    network: Inception,
    read: Callable[[int], np.ndarray],
    ids: Sequence[str],
    processes: Processes,
    advance: Callable[[int], object],
    held_at_most: int = HELD_AT_MOST,
) -> FeatureSet | None:
    """Return the features of a set of pictures; memory does not grow with their number.

    Args:
        network: on the device that computes.
        read: the number of a picture to its pixels, uint8, H x W x 3, of any size; each is read
            once, by one of the processes.
        ids: unique names of all; those that are held are drawn by them, so order does not matter.
        processes: this one among its peers, all of which call this.
        advance: called in the first process with numbers of pictures that are done.
        held_at_most: how many features are held.

    Returns:
        To the first process; None to the others.

    Raises:
        ValueError: fewer than two pictures, or an id that is duplicated.
        SuperresError: another process has ended.
    """
    if len(set(ids)) != len(ids):
        raise ValueError("ids must be unique: the features that are held follow from them")
    if len(ids) < 2:
        raise ValueError(f"a distribution needs at least 2 pictures, got {len(ids)}")
    rows = {name: row for row, name in enumerate(drawn_ids(ids, held_at_most))}
    complete = len(rows) == len(ids)
    size = BATCH if complete else BLOCK
    pieces = [range(at, min(at + size, len(ids))) for at in range(0, len(ids), size)]

    def described(piece: range) -> tuple[Moments, np.ndarray]:
        """Return the moments of some pictures, if not all are held, and the features held."""
        features = np.concatenate(list(features_of(network, map(read, piece))))
        moments = Moments(0 if complete else WIDTH)
        if not complete:
            moments.add(features)
        return moments, features[[ids[number] in rows for number in piece]]

    held = np.empty((len(rows), WIDTH), np.float32)
    moments = Moments(WIDTH)
    mine = map(described, processes.deal(pieces))
    for piece, (part, features) in processes.in_order(pieces, mine):
        if not complete:
            moments.merge(part)
        names = [name for name in (ids[number] for number in piece) if name in rows]
        held[[rows[name] for name in names]] = features
        advance(len(piece))
    if not processes.writes:
        return None
    if complete:
        return feature_set(held)
    return FeatureSet(moments.count, moments.mean, moments.covariance(), held)


def drawn_ids(ids: Sequence[str], at_most: int) -> list[str]:
    """Return the ids, sorted: all, or `at_most` of them that follow from their names alone."""
    if len(ids) <= at_most:
        return sorted(ids)
    drawn = sorted(ids, key=lambda name: (derive_seed(0, "held-feature", name), name))
    return sorted(drawn[:at_most])


def features_of(network: Inception, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the features of pictures (uint8, H x W x 3) in blocks: float32, up to 32 x 2048.

    Full float32 even on GPUs that round the inputs of convolutions to 10 bits if they are let to.
    """
    device = next(network.parameters()).device
    waiting = iter(pictures)
    while block := list(islice(waiting, BATCH)):
        prepared = torch.cat([_prepared(picture, device) for picture in block])
        prepared = prepared.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            yield network(prepared, (LAYER,))[LAYER].cpu().numpy()


def _prepared(picture: np.ndarray, device: torch.device) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(picture, copy=True)).to(device)  # shards are read-only maps
    return prepare(pixels.permute(2, 0, 1)[None])
