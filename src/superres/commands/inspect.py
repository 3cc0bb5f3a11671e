"""`superres inspect DIR`: what tiles, pairs or samples a folder holds, and if it is complete."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from superres.core.errors import SuperresError
from superres.core.images import encode_png
from superres.core.picture_grid import lay_out
from superres.core.storage import MANIFEST, Shards, read_manifest, write_bytes

BINS = 10
BAR = 40
SPACE = 2
"""Pixels between the tiles of a sheet."""
SHOWN = 128
"""Pixels of a tile's edge on a sheet, where enlarging it by a whole factor does not exceed them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `superres inspect`."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="data/tiles, data/pairs, ...")
    parser.add_argument("--sheet", metavar="FILE", type=Path, help="write tiles to a PNG picture")
    parser.add_argument("--tiles", type=int, default=64, help="on the sheet (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Check and describe a folder, and draw a sheet of it where one is asked for.

    Raises:
        SuperresError: no manifest, a missing or cut-off shard, places that the manifest names
            twice or not at all, less than one tile for the sheet, a sheet that exists.
    """
    if args.tiles < 1:
        raise SuperresError(f"--tiles: must be at least 1, got {args.tiles}")
    if args.sheet is not None and args.sheet.exists():
        raise SuperresError(f"--sheet: {args.sheet} exists")
    manifest = read_manifest(args.folder, ("shard", "index"))
    shards = _check(manifest, args.folder)
    _describe(manifest, shards)
    if args.sheet is not None:
        places = np.linspace(0, len(manifest) - 1, min(args.tiles, len(manifest)))
        rows = manifest.iloc[places.round().astype(int)]
        write_bytes(args.sheet, encode_png(contact_sheet(Shards(args.folder).stack(rows))))
        print(f"{args.sheet}: {len(rows)} tiles, evenly over the manifest")
    return 0


def contact_sheet(tiles: np.ndarray) -> np.ndarray:
    """Return tiles (uint8, N x H x W x 3) side by side on white in about a square.

    Small ones are enlarged by a whole factor, their pixels as they are.
    """
    zoom = max(1, SHOWN // max(tiles.shape[1:3]))
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    columns = int(np.ceil(np.sqrt(len(tiles))))
    return lay_out([list(tiles[i : i + columns]) for i in range(0, len(tiles), columns)], SPACE)


def _check(manifest: pd.DataFrame, folder: Path) -> dict[str, np.ndarray]:
    """Return every shard by name, memory-mapped, each place in it named by exactly one row."""
    named = {str(name): rows for name, rows in manifest.groupby("shard")["index"]}
    there = {path.name for path in folder.glob("*.npy")}
    if strays := sorted(there - set(named)):
        raise SuperresError(f"{folder}/{strays[0]}: a shard that {MANIFEST} does not name")
    shards = {}
    for name, indices in named.items():
        try:
            shard = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise SuperresError(f"{folder / name}: not a readable shard: {error}") from error
        if not np.array_equal(np.sort(indices.to_numpy()), np.arange(len(shard))):
            raise SuperresError(
                f"{folder / name}: has {len(shard)} tiles, {MANIFEST} names {len(indices)} places "
                "that are not these one by one"
            )
        shards[name] = shard
    return shards


def _describe(manifest: pd.DataFrame, shards: dict[str, np.ndarray]) -> None:
    total = sum(shard.nbytes for shard in shards.values())
    print(f"{len(manifest)} tiles in {len(shards)} shards, {total / 2**20:.1f} MiB")
    if "split" in manifest:
        for split, rows in manifest.groupby("split", sort=False):
            sources = f" of {rows['source'].nunique()} photographs" if "source" in rows else ""
            print(f"  {split}: {len(rows)}{sources}")
    for name, shard in shards.items():
        print(f"  {name}: {' x '.join(map(str, shard.shape))} {shard.dtype}")
    for column in [str(name) for name in manifest.columns if str(name).startswith("entropy_")]:
        _histogram(column.removeprefix("entropy_"), manifest[column].to_numpy(np.float64))


def _histogram(name: str, values: np.ndarray) -> None:
    counts, edges = np.histogram(values, BINS, range=(0.0, 1.0))
    print(f"{name}: mean {values.mean():.3f}, from {values.min():.3f} to {values.max():.3f}")
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        bar = "#" * round(BAR * count / max(1, counts.max()))
        print(f"  {low:.1f}-{high:.1f} {count:>8} {bar}".rstrip())
