"""Time and memory of tiling and degradation by the number of tiles, against what they cannot avoid.

`PYTHONPATH=src python benchmarks/data.py 1000 4000`: for each number, photographs of 100 tiles are
made, tiled and degraded in a process of their own, which reports its peak memory. The floor of
tiling is decoding the same files once, that of degradation encoding each tile once as JPEG.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from superres.data.pairs import degrade_tiles
from superres.data.tiling import tile_photographs
from superres.params.data import DataParams
from superres.params.degrade import DegradeParams
from superres.params.section import load_section
from superres.storage import Shards, read_manifest

EDGE = 640
"""Pixels of a square photograph: 100 tiles of 64."""


def main() -> None:
    """Print a row of figures for each number of tiles asked for."""
    if sys.argv[1] == "--in":
        print(json.dumps(_measure(Path(sys.argv[2]))))
        return
    print("tiles  tile s  degrade s  decode s  encode s  peak MiB")
    for count in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            _make(Path(folder), count // 100)
            command = [sys.executable, __file__, "--in", folder]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        print("  ".join(str(value) for value in json.loads(output.splitlines()[-1])))


def _make(folder: Path, count: int) -> None:
    (folder / "photos").mkdir()
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((EDGE, EDGE), Image.Resampling.BICUBIC)
        picture.save(folder / "photos" / f"{number}.jpg", quality=95)


def _measure(folder: Path) -> list[float]:
    changes = {"source": str(folder / "photos"), "stride": 64, "min_sharpness": 0.0}
    data = load_section("data", DataParams).model_copy(update=changes)
    degrade = load_section("degrade", DegradeParams).model_copy(update={"variants": 1})
    begin = time.perf_counter()
    tile_photographs(data, folder / "tiles", folder / "photographs.csv")
    tiled = time.perf_counter()
    degrade_tiles(degrade, folder / "tiles", folder / "pairs")
    degraded = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    decode, encode = _floor(folder)
    tiles = len(read_manifest(folder / "tiles"))
    times = (tiled - begin, degraded - tiled, decode, encode)
    return [tiles, *(round(seconds, 2) for seconds in times), round(peak)]


def _floor(folder: Path) -> tuple[float, float]:
    """Return the seconds of one core for decoding every file and encoding every tile, once."""
    begin = time.perf_counter()
    for path in (folder / "photos").iterdir():
        with Image.open(path) as image:
            image.load()
    decoded = time.perf_counter()
    manifest, shards = read_manifest(folder / "tiles"), Shards(folder / "tiles")
    for shard, index in zip(manifest["shard"], manifest["index"], strict=True):
        Image.fromarray(shards[shard, int(index)]).save(io.BytesIO(), "JPEG")
    return decoded - begin, time.perf_counter() - decoded


if __name__ == "__main__":
    main()
