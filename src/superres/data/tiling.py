"""The `tile` stage: a folder of photographs becomes shards of tiles, split by photograph."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from superres.data.grid import Tile, cut
from superres.data.manifests import TILE_COLUMNS
from superres.data.sources import Source, find_photographs
from superres.data.splitting import SPLITS, assign_splits
from superres.errors import SuperresError
from superres.images import UnreadableImage, read_image
from superres.parallel import in_order
from superres.params.data import DataParams
from superres.progress import progress_bar
from superres.storage import MANIFEST, ShardWriter, replacing_folder, write_csv

PHOTOGRAPH_COLUMNS = (
    *("source", "status", "reason", "split", "width", "height", "tiles", "dropped", "thinned"),
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
    reason: str = ""
    """Why it is left out; empty while it is used."""
    split: str = ""
    tiles: int = 0
    dropped: int = 0
    """Tiles below `min_sharpness`."""
    thinned: int = 0
    """Sharp tiles beyond `max_tiles`."""


class _Cut(NamedTuple):
    image: np.ndarray
    """The photograph itself, uint8, H x W x 3: overlapping tiles would take several times it."""
    tiles: list[Tile]
    dropped: int = 0
    thinned: int = 0


def tile_photographs(
    params: DataParams, tiles_folder: str | Path, photographs_csv: str | Path
) -> dict[str, Any]:
    """Cut every usable photograph under `params.source` into tiles.

    Training photographs get a grid at `params.stride` whose last row and column end with the
    picture, so that with `stride <= tile_size` every pixel is in a tile; tiles below
    `params.min_sharpness` are dropped. Val and test photographs get tiles that never overlap, all
    of them kept; less than a tile is left over at their right and lower edges.

    `tiles_folder` gets `{split}-00000.npy` and `manifest.csv` (`TILE_COLUMNS`), `photographs_csv`
    a row per file found (`PHOTOGRAPH_COLUMNS`). Neither is touched unless all goes well, and the
    number of workers changes no byte of them.

    Returns:
        `photographs`, `megapixels` and `tiles` done, for the notes on timing.

    Raises:
        SuperresError: no folder, no photograph, more unreadable ones than
            `params.max_bad_fraction`, fewer usable ones than splits, no sharp training tile.
    """
    photographs = _look(find_photographs(params.source))
    _refuse_many_unreadable(photographs, params)
    _leave_out(photographs, params.tile_size)
    used = [photograph for photograph in photographs if not photograph.reason]
    _split(used, photographs, params)
    with replacing_folder(tiles_folder) as new:
        write_csv(new / MANIFEST, _write_tiles(used, params, new))
        write_csv(photographs_csv, _table(photographs))
    tiles = Counter[str]()
    for photograph in used:
        tiles[photograph.split] += photograph.tiles
    _summarise(photographs, tiles, params)
    megapixels = sum(photograph.width * photograph.height for photograph in used) / 1e6
    return {
        "photographs": sum(not photograph.reason for photograph in photographs),
        "megapixels": round(megapixels, 3),
        "tiles": tiles.total(),
    }


def content_hash(image: np.ndarray) -> str:
    """Return 32 hex digits that follow from a picture's size and pixels (uint8, H x W x 3)."""
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def short_ids(contents: list[str]) -> list[str]:
    """Return the first 8 hex digits of each hash, or as many as tell different hashes apart."""
    length = 8
    while len({content[:length] for content in contents}) < len(set(contents)):
        length += 4
    return [content[:length] for content in contents]


def _look(sources: list[Source]) -> list[Photograph]:
    """Decode every file once for its size and hash: splits and duplicates need all of them."""
    with progress_bar(len(sources), "read", "photograph") as bar:
        photographs = []
        for photograph in in_order(_look_at, sources, prefer="threads"):
            photographs.append(photograph)
            bar.update()
    return photographs


def _look_at(source: Source) -> Photograph:
    try:
        image = read_image(source.path)
    except UnreadableImage as error:
        return Photograph(source, reason=f"unreadable: {error.reason}")
    height, width = image.shape[:2]
    return Photograph(source, width, height, content_hash(image))


def _refuse_many_unreadable(photographs: list[Photograph], params: DataParams) -> None:
    bad = [photograph for photograph in photographs if photograph.reason]
    if len(bad) > params.max_bad_fraction * len(photographs):
        raise SuperresError(
            f"data.source: {params.source}: {len(bad)} of {len(photographs)} files are unreadable, "
            f"more than data.max_bad_fraction {params.max_bad_fraction} allows:\n"
            + "\n".join(_reasons(bad, limit=len(bad)))
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


def _split(used: list[Photograph], photographs: list[Photograph], params: DataParams) -> None:
    if len(used) < len(SPLITS):
        left_out = [photograph for photograph in photographs if photograph.reason]
        raise SuperresError(
            f"data.source: {params.source}: {len(used)} usable of {len(photographs)} photographs, "
            f"at least {len(SPLITS)} are needed (one each for {', '.join(SPLITS)})"
            + "".join(f"\n{line}" for line in _reasons(left_out, LISTED))
        )
    splits = assign_splits([photograph.content for photograph in used], params.split)
    for photograph, split in zip(used, splits, strict=True):
        photograph.split = split


def _write_tiles(used: list[Photograph], params: DataParams, folder: Path) -> pd.DataFrame:
    """Write the shards, note each photograph's counts, and return the manifest."""
    rows: list[tuple[Any, ...]] = []
    ids = short_ids([photograph.content for photograph in used])
    cuts = in_order(partial(_cut, params=params), used, prefer="threads")
    size = params.tile_size
    with ExitStack() as stack, progress_bar(len(used), "tile", "photograph") as bar:
        writers = {split: stack.enter_context(ShardWriter(folder, split)) for split in SPLITS}
        for photograph, short, done in zip(used, ids, cuts, strict=True):
            photograph.tiles = len(done.tiles)
            photograph.dropped, photograph.thinned = done.dropped, done.thinned
            if not done.tiles:
                photograph.reason = f"all {done.dropped} tiles below the sharpness threshold"
            name, split = photograph.source.name, photograph.split
            for x, y, sharpness in done.tiles:
                shard, index = writers[split].append(done.image[y : y + size, x : x + size])
                rows.append(
                    (f"{short}-{x:05d}-{y:05d}", split, shard, index, name, x, y, sharpness)
                )
            bar.update()
    if all(photograph.reason for photograph in used if photograph.split == "train"):
        raise SuperresError(
            f"data.source: {params.source}: every training tile is below data.min_sharpness "
            f"{params.min_sharpness}"
        )
    return pd.DataFrame(rows, columns=list(TILE_COLUMNS))


def _cut(photograph: Photograph, params: DataParams) -> _Cut:
    image = read_image(photograph.source.path)
    size = params.tile_size
    if photograph.split != "train":
        return _Cut(image, cut(image, size, stride=size, flush=False))
    tiles = cut(image, size, params.stride, flush=True)
    sharp = [tile for tile in tiles if tile.sharpness >= params.min_sharpness]
    # Evenly over the photograph, not the sharpest: those would all be of one texture.
    kept = np.linspace(0, len(sharp) - 1, min(len(sharp), params.max_tiles)).round().astype(int)
    return _Cut(
        image,
        [sharp[place] for place in kept],
        dropped=len(tiles) - len(sharp),
        thinned=len(sharp) - len(kept),
    )


def _table(photographs: list[Photograph]) -> pd.DataFrame:
    rows = []
    for p in photographs:
        status = "left out" if p.reason else "used"
        fate = (p.source.name, status, p.reason, p.split)
        rows.append((*fate, p.width, p.height, p.tiles, p.dropped, p.thinned))
    return pd.DataFrame(rows, columns=list(PHOTOGRAPH_COLUMNS))


def _summarise(photographs: list[Photograph], tiles: Counter[str], params: DataParams) -> None:
    left_out = sum(bool(photograph.reason) for photograph in photographs)
    dropped = sum(photograph.dropped for photograph in photographs)
    thinned = sum(photograph.thinned for photograph in photographs)
    print(
        f"{len(photographs) - left_out} photographs used, {left_out} left out; "
        f"tiles: {', '.join(f'{tiles[split]} {split}' for split in SPLITS)}; "
        f"{dropped} training tiles dropped (sharpness below {params.min_sharpness:g}), "
        f"{thinned} more where a photograph has over {params.max_tiles}"
    )


def _reasons(photographs: list[Photograph], limit: int) -> list[str]:
    lines = [f"  {photograph.source.name}: {photograph.reason}" for photograph in photographs]
    more = len(lines) - limit
    return lines if more <= 0 else [*lines[:limit], f"  and {more} more"]
