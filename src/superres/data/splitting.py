"""Which photographs train the model and which are held out: a stable function of their pixels."""

from __future__ import annotations

import hashlib

from superres.core.errors import SuperresError
from superres.data.config import SplitLists, SplitParams
from superres.data.sources import matches

SPLITS = ("train", "val", "test")


def position(content: str, salt: str) -> float:
    """Return a photograph's place in [0, 1): uniform over contents, fixed for content and salt."""
    digest = hashlib.blake2b(f"{salt}\x1f{content}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def assign_splits(contents: list[str], params: SplitParams) -> list[str]:
    """Return the split of each photograph, by its content hash (all different).

    A photograph at position u is for test where u < test, for val where u < test + val, else for
    training, so that further photographs never move it. Few photographs may leave a split
    empty: it then takes the photograph whose position is nearest to its range from a split
    that can spare one.

    Raises:
        SuperresError: val and test leave nothing to train on, or there are fewer photographs
            than splits.
    """
    if params.val + params.test >= 1:
        raise SuperresError(
            "data.split: val and test must leave photographs to train on (sum below 1), "
            f"got {params.val} and {params.test}"
        )
    if len(contents) < len(SPLITS):
        raise SuperresError(
            f"{len(contents)} photographs cannot be split into {', '.join(SPLITS)}: "
            f"at least {len(SPLITS)} are needed"
        )
    ranges = _ranges(params)
    places = [position(content, params.salt) for content in contents]
    splits = [_split_at(place, ranges) for place in places]
    for split in SPLITS:
        if split not in splits:
            low, high = ranges[split]
            spare = [i for i, taken in enumerate(splits) if splits.count(taken) > 1]
            distances = [(max(low - places[i], places[i] - high), contents[i], i) for i in spare]
            splits[min(distances)[2]] = split
    return splits


def likely_split(name: str, content: str, params: SplitParams) -> str:
    """Return the split that a photograph gets unless others change that.

    What it looks like, an empty split or an entry of a list that fits no photograph may do so. It
    is empty where no list names it.
    """
    if params.lists is not None:
        lists = params.lists
        named = (s for s in SPLITS if any(matches(name, p) for p in getattr(lists, s)))
        return next(named, "")
    return _split_at(position(content, params.salt), _ranges(params))


def listed_split(names: list[str], lists: SplitLists) -> list[str]:
    """Return the split of each photograph by its name; empty for those that no list names.

    Raises:
        SuperresError: an entry that fits no photograph, or a photograph that fits two lists.
    """
    splits = [""] * len(names)
    for split in SPLITS:
        for pattern in getattr(lists, split):
            fits = [place for place, name in enumerate(names) if matches(name, pattern)]
            if not fits:
                raise SuperresError(
                    f"data.split.lists.{split}: {pattern!r} fits no usable photograph"
                )
            for place in fits:
                if splits[place] not in ("", split):
                    raise SuperresError(
                        f"data.split.lists: {names[place]} is in both {splits[place]} and {split}"
                    )
                splits[place] = split
    return splits


def _ranges(params: SplitParams) -> dict[str, tuple[float, float]]:
    return {
        "test": (0.0, params.test),
        "val": (params.test, params.test + params.val),
        "train": (params.test + params.val, 1.0),
    }


def _split_at(place: float, ranges: dict[str, tuple[float, float]]) -> str:
    for split in ("test", "val"):
        if place < ranges[split][1]:
            return split
    return "train"
