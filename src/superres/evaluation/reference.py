"""What is computed of the original test tiles once, however often restorations are measured.

The folder holds an `.npy` array of patches per pyramid level and `reference.json`, which says what
they describe: a reference of other tiles or of other params is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from superres.errors import SuperresError
from superres.evaluation.distribution import descriptors, level_sizes
from superres.params.evaluate import FeaturesParams
from superres.progress import counting, progress_bar
from superres.storage import Shards, read_manifest, replacing_folder, rows_of_split, write_json

DESCRIPTION = "reference.json"


def write_reference(params: FeaturesParams, tiles: str | Path, folder: str | Path) -> int:
    """Describe the original test tiles and return how many there are.

    Args:
        params: how they are described.
        tiles: folder of tiles with a manifest; its split `test` is used.
        folder: replaced as a whole.
    """
    rows = rows_of_split(read_manifest(tiles, ("id", "split", "shard", "index")), "test", tiles)
    shards = Shards(tiles)
    places = list(zip(rows["shard"], rows["index"], strict=True))
    ids = rows["id"].tolist()
    originals = (shards[name, int(index)] for name, index in places)
    with progress_bar(len(ids), "reference", "tile") as bar:
        levels = descriptors(counting(originals, bar), ids, params.swd)
    sizes = level_sizes(min(shards[places[0]].shape[:2]))
    with replacing_folder(folder) as out:
        for size, patches in zip(sizes, levels, strict=True):
            np.save(out / _level_file(size), patches, allow_pickle=False)
        write_json(out / DESCRIPTION, _description(params, ids, sizes))
    return len(ids)


def read_reference(
    params: FeaturesParams, ids: Sequence[str], folder: str | Path
) -> dict[int, np.ndarray]:
    """Return the originals' patches by level: edge of the level in pixels -> float32, P x D.

    Raises:
        SuperresError: nothing there, or it describes other tiles or was made with other params.
    """
    path = Path(folder) / DESCRIPTION
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise SuperresError(f"{path}: cannot be read; run the stage reference: {error}") from error
    sizes = found.get("levels", []) if isinstance(found, dict) else []
    wanted = _description(params, ids, sizes)
    differing = [key for key, value in wanted.items() if found.get(key) != value] if sizes else []
    if differing or not sizes:
        raise SuperresError(
            f"{path}: does not belong to these test tiles and params "
            f"({', '.join(differing) or 'no levels'} differ); run the stage reference"
        )
    return {size: _load(Path(folder) / _level_file(size)) for size in sizes}


def _description(params: FeaturesParams, ids: Sequence[str], sizes: list[int]) -> dict[str, Any]:
    joined = "\n".join(sorted(ids)).encode()
    return {
        "tiles": len(ids),
        "ids": hashlib.blake2b(joined, digest_size=16).hexdigest(),
        "levels": sizes,
        "swd": params.swd.model_dump(),
    }


def _level_file(size: int) -> str:
    return f"swd-{size:04d}.npy"


def _load(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise SuperresError(f"{path}: not readable; run the stage reference: {error}") from error
