"""What each file is: used, or left out with the reason; and which split it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from superres.core.errors import SuperresError
from superres.core.hashing import pixels_digest
from superres.core.images import NoImage, UnreadableImage, read_picture
from superres.data.config import DataParams
from superres.data.duplicates import near_groups, perceptual_hash
from superres.data.sources import Source
from superres.data.splitting import SPLITS, assign_splits, listed_split

PHOTOGRAPH_COLUMNS = (
    *("source", "status", "reason", "split", "width", "height", "tiles", "dropped", "thinned"),
    "near",
)
LISTED = 10
"""How many files an error names; `photographs.csv` and longer lists are for the rest."""


@dataclass
class Photograph:
    """What becomes of one file: a row of `photographs.csv`."""

    source: Source
    width: int = 0
    height: int = 0
    content: str = ""
    """Hash of size and pixels; empty for an unreadable file."""
    look: int | None = None
    """Perceptual hash; see `superres.data.duplicates`."""
    bad: bool = False
    """An image, by its name or content, that cannot be decoded."""
    reason: str = ""
    """Why it is left out; empty while it is used."""
    split: str = ""
    tiles: int = 0
    dropped: int = 0
    """Tiles below `min_sharpness`."""
    thinned: int = 0
    """Sharp tiles beyond `max_tiles`."""
    near: str = ""
    """Name of the near-duplicate whose split this one shares; empty where there is none."""


def look_at(source: Source, params: DataParams) -> tuple[Photograph, np.ndarray | None]:
    """Return what a file is, and the pixels of one that can be decoded: uint8, H x W x 3."""
    if source.reason:
        return Photograph(source, reason=source.reason), None
    try:
        picture = read_picture(source.path, source.content(), params.max_megapixels)
    except UnreadableImage as error:
        if isinstance(error, NoImage) and not source.named_as_image:
            return Photograph(source, reason="no image"), None
        return Photograph(source, reason=f"unreadable: {error.reason}", bad=True), None
    pixels = np.asarray(picture)
    content = pixels_digest(pixels)
    return Photograph(source, *picture.size, content, perceptual_hash(picture)), pixels


def settle(photographs: list[Photograph], params: DataParams) -> None:
    """Decide which photographs are used and give each its split, knowing all of them.

    Raises:
        SuperresError: no photograph, more unreadable ones than `params.max_bad_fraction`, fewer
            usable ones than splits, lists of splits that fit badly.
    """
    _refuse_many_unreadable(photographs, params)
    _leave_out(photographs, params.tile_size)
    _split(photographs, params)


def photograph_table(photographs: Iterable[Photograph]) -> pd.DataFrame:
    """Return a row per file: `PHOTOGRAPH_COLUMNS`."""
    rows = []
    for p in photographs:
        status = "left out" if p.reason else "used"
        fate = (p.source.name, status, p.reason, p.split)
        rows.append((*fate, p.width, p.height, p.tiles, p.dropped, p.thinned, p.near))
    return pd.DataFrame(rows, columns=list(PHOTOGRAPH_COLUMNS))


def _refuse_many_unreadable(photographs: list[Photograph], params: DataParams) -> None:
    bad = [photograph for photograph in photographs if photograph.bad]
    images = len(bad) + sum(bool(photograph.content) for photograph in photographs)
    if not images:
        raise SuperresError(
            f"data.source: {params.source}: holds no photograph among {len(photographs)} files"
            + _reasons(photographs, LISTED)
        )
    if len(bad) > params.max_bad_fraction * images:
        raise SuperresError(
            f"data.source: {params.source}: {len(bad)} of {images} files are unreadable, "
            f"more than data.max_bad_fraction {params.max_bad_fraction} allows:"
            + _reasons(bad, limit=len(bad))
        )


def _leave_out(photographs: list[Photograph], tile_size: int) -> None:
    """Give a reason to every readable photograph that cannot be used."""
    first: dict[str, str] = {}
    for photograph in photographs:
        if photograph.reason:
            continue
        if min(photograph.width, photograph.height) < tile_size:
            size = f"{photograph.width} x {photograph.height} px"
            photograph.reason = f"smaller than a tile: {size} < {tile_size} x {tile_size} px"
        elif photograph.content in first:
            photograph.reason = f"same pixels as {first[photograph.content]}"
        else:
            first[photograph.content] = photograph.source.name


def _split(photographs: list[Photograph], params: DataParams) -> None:
    """Give every usable photograph its split: by lists, or one for each group that looks alike."""
    used = [photograph for photograph in photographs if not photograph.reason]
    groups: dict[int, list[Photograph]] = {}
    numbers = near_groups([photograph.look for photograph in used])
    for photograph, number in zip(used, numbers, strict=True):
        groups.setdefault(number, []).append(photograph)
    heads = [min(group, key=_first_of_group) for group in groups.values()]
    for head, group in zip(heads, groups.values(), strict=True):
        for photograph in group:
            photograph.near = "" if photograph is head else head.source.name
    if params.split.lists is not None:
        names = [photograph.source.name for photograph in used]
        for photograph, split in zip(used, listed_split(names, params.split.lists), strict=True):
            photograph.split = split
            if not split:
                photograph.reason = "in no list of data.split.lists"
        _refuse_torn_groups(groups.values())
        return
    if len(heads) < len(SPLITS):
        left_out = [photograph for photograph in photographs if photograph.reason]
        alike = f", {len(heads)} that do not look alike" if len(heads) < len(used) else ""
        raise SuperresError(
            f"data.source: {params.source}: {len(used)} usable of {len(photographs)} photographs"
            f"{alike}, at least {len(SPLITS)} are needed (one each for {', '.join(SPLITS)})"
            + _reasons(left_out, LISTED)
        )
    splits = assign_splits([head.content for head in heads], params.split)
    for group, split in zip(groups.values(), splits, strict=True):
        for photograph in group:
            photograph.split = split


def _first_of_group(photograph: Photograph) -> tuple[int, str]:
    """Order by size first: smaller copies that are added later then move no group."""
    return -photograph.width * photograph.height, photograph.content


def _refuse_torn_groups(groups: Iterable[list[Photograph]]) -> None:
    for group in groups:
        listed = {
            photograph.split: photograph.source.name for photograph in group if photograph.split
        }
        if len(listed) > 1:
            where = ", ".join(f"{name} in {split}" for split, name in sorted(listed.items()))
            raise SuperresError(f"data.split.lists: near-duplicates in two splits: {where}")


def _reasons(photographs: list[Photograph], limit: int) -> str:
    lines = [f"\n  {photograph.source.name}: {photograph.reason}" for photograph in photographs]
    more = len(lines) - limit
    return "".join(lines if more <= 0 else [*lines[:limit], f"\n  and {more} more"])
