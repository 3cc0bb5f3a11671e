"""Time and memory of tiling and degradation by the number of tiles, against what they cannot avoid.

`PYTHONPATH=src python benchmarks/data.py 1000 4000`: for each number, photographs of 100 tiles are
made, tiled and degraded in a process of their own, which reports its peak memory and the processor
time that all its processes took (Linux). Speeds are megapixels of tiles per second of processor
time; each is followed by how many times more it costs than its floors. Seconds are wall-clock.

- `decode`: decoding each file once, and no more;
- `encode`: encoding each tile once as JPEG, as a file;
- `bare chain`: area mean, Gaussian blur, JPEG encoding and decoding of each tile by the shortest
  calls there are; nothing is drawn, read or written.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import correlate1d

from superres.core.params import load_section
from superres.core.storage import Shards, read_manifest
from superres.data.config import DataParams
from superres.data.tiling import tile_photographs
from superres.degradation.blur_kernels import gaussian_kernel
from superres.degradation.config import DegradeParams
from superres.degradation.downsampling import area_downsample
from superres.degradation.pairs import degrade_tiles

EDGE = 640
"""Pixels of a square photograph: 100 tiles of 64."""
TILE = 64
FLOOR_FILES, FLOOR_TILES = 50, 5000
"""Floors are measured on so many at most: each is the same work for every one."""
COLUMNS = (
    *("tiles", "tile MP/s/core", "/decode", "degrade MP/s/core", "/encode", "/bare chain"),
    *("decode MP/s", "encode MP/s", "bare chain MP/s", "peak MiB", "seconds: tile", "degrade"),
)


def main() -> None:
    """Print a row of figures for each number of tiles asked for, with bars between them."""
    if sys.argv[1] == "--in":
        print(json.dumps(_measure(Path(sys.argv[2]))))
        return
    print(" | ".join(COLUMNS))
    for count in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            _make(Path(folder), count // 100)
            command = [sys.executable, __file__, "--in", folder]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        print(" | ".join(str(value) for value in json.loads(output.splitlines()[-1])), flush=True)


def _make(folder: Path, count: int) -> None:
    (folder / "photos").mkdir()
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((EDGE, EDGE), Image.Resampling.BICUBIC)
        picture.save(folder / "photos" / f"{number}.jpg", quality=95)


def _measure(folder: Path) -> list[float]:
    changes = {
        "source": str(folder / "photos"),
        "stride": TILE,
        "reductions": [1.0],
        "min_sharpness": 0.0,
    }
    data = load_section("data", DataParams).model_copy(update=changes)
    degrade = load_section("degrade", DegradeParams).model_copy(update={"variants": 1})
    tile = _timed(lambda: tile_photographs(data, folder / "tiles", folder / "photographs.csv"))
    pairs = _timed(lambda: degrade_tiles(degrade, folder / "tiles", folder / "pairs"))
    peak = _peak_kib() / 1024
    manifest = read_manifest(folder / "tiles")
    megapixels = len(manifest) * TILE**2 / 1e6
    decode, encode, chain = (megapixels / len(manifest) / s for s in _floors(folder))
    tiling, degrading = megapixels / tile[1], megapixels / pairs[1]
    return [
        *(len(manifest), round(tiling, 1), round(decode / tiling, 1), round(degrading, 1)),
        *(round(encode / degrading, 1), round(chain / degrading, 1)),
        *(round(decode), round(encode), round(chain), round(peak)),
        *(round(tile[0], 2), round(pairs[0], 2)),
    ]


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the wall-clock seconds and the processor seconds of this process and its children."""
    begin, before = time.perf_counter(), _processor_seconds()
    work()
    return time.perf_counter() - begin, _processor_seconds() - before


def _processor_seconds() -> float:
    """Return what this process and its children took, those that still run included (Linux)."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if os.getpid() in (int(stat.parent.name), int(fields[1])):
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _floors(folder: Path) -> tuple[float, float, float]:
    """Return the processor seconds per tile of decoding files, of encoding and of the chain."""
    files = sorted((folder / "photos").iterdir())[:FLOOR_FILES]
    begin = time.process_time()
    for path in files:
        with Image.open(path) as image:
            image.load()
    decode = (time.process_time() - begin) / (len(files) * (EDGE // TILE) ** 2)
    rows = read_manifest(folder / "tiles")[:FLOOR_TILES]
    tiles = Shards(folder / "tiles").stack(rows)
    begin = time.process_time()
    for tile in tiles:
        Image.fromarray(tile).save(io.BytesIO(), "JPEG")
    encode = (time.process_time() - begin) / len(tiles)
    begin = time.process_time()
    kernel = gaussian_kernel(0.75)
    for first in range(0, len(tiles), 64):
        for low in area_downsample(tiles[first : first + 64], 2):
            for axis in (0, 1):
                low = correlate1d(low, kernel, axis, mode="mirror")  # noqa: PLW2901
            small = Image.fromarray((low * 255).astype(np.uint8))
            content = small.tobytes("jpeg", "RGB", 45)
            Image.frombytes("RGB", small.size, content, "jpeg", "RGB", "")
    return decode, encode, (time.process_time() - begin) / len(tiles)


if __name__ == "__main__":
    main()
