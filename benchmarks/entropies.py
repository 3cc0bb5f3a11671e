"""What `--entropy auto` is worth: PSNR of one-evaluation estimates by the entropies that are told.

    PYTHONPATH=src python benchmarks/entropies.py                        # tiles of val and test
    PYTHONPATH=src python benchmarks/entropies.py --pictures DIR --count 20    # and whole pictures

Needs `models/best`, `models/entropy`, `data/tiles` and `data/pairs` of a pipeline that has run.
Pictures are read as originals and corrupted as the model's inputs were, with entropies drawn from
(--seed, the picture's name); which of a folder are taken is drawn from --seed, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from superres.core.errors import SuperresError
from superres.core.seeding import rng
from superres.degradation.chain import Degradation
from superres.degradation.dataset import PairSet, read_degradation
from superres.degradation.degrade import degrade, draw_entropies
from superres.metrics.fidelity import psnr
from superres.restoration.picture import from_array
from superres.restoration.restorer import Restorer, load

CONSTANTS = (0.0, 0.25, 0.5)
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}

Case = tuple[np.ndarray, np.ndarray, dict[str, float]]
"""An input and its original (uint8, H x W x 3), and the entropies between them by name."""


def tiles(pairs: PairSet, count: int) -> Iterator[Case]:
    """Yield pairs of a split, spread evenly; `count` 0 is all of them."""
    for item in pairs.spread(count or len(pairs)):
        entropies = map(float, pairs.entropies([item])[0])
        named = dict(zip(pairs.entropy_names, entropies, strict=True))
        yield pairs.low([item])[0], pairs.high([item])[0], named


def pictures(folder: Path, count: int, degradation: Degradation, seed: int) -> Iterator[Case]:
    """Yield pictures of a folder and its subfolders, cut to what the scale divides, corrupted.

    Raises:
        SuperresError: the folder holds none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise SuperresError(f"{folder}: holds no pictures ({', '.join(sorted(SUFFIXES))})")
    drawn = rng(seed, "benchmark-pictures").permutation(len(found))[: count or len(found)]
    for path in (found[index] for index in drawn):
        with Image.open(path) as image:
            high = np.asarray(image.convert("RGB"))
        height, width = (edge // degradation.scale * degradation.scale for edge in high.shape[:2])
        high = np.ascontiguousarray(high[:height, :width])
        entropies = draw_entropies(degradation, rng(seed, "benchmark-strengths", path.name))
        low, applied = degrade(degradation, high, entropies, path.name)
        yield low, high, applied


def measure(restorer: Restorer, cases: Iterator[Case]) -> pd.DataFrame:
    """Return a row per case: PSNR in dB by what is told, and the estimate's errors by entropy."""
    rows = []
    for low, high, true in cases:
        picture = from_array(low)
        auto = restorer.entropies(picture, {}, "auto")
        told = {"true": true, "auto": auto}
        told |= {f"{value:g}": dict.fromkeys(true, value) for value in CONSTANTS}
        row = {
            name: psnr(restorer.run(picture, entropies, None).levels, high)
            for name, entropies in told.items()
        }
        rows.append(row | {f"{name} off by": abs(auto[name] - true[name]) for name in true})
    return pd.DataFrame(rows)


def main() -> None:
    """Measure, and print a Markdown table of means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="models/best", help="model folder")
    parser.add_argument("--entropy-estimator", help="folder; by default beside the model's")
    parser.add_argument("--tiles", default="data/tiles")
    parser.add_argument("--pairs", default="data/pairs")
    parser.add_argument("--pictures", type=Path, help="folder of originals, restored whole")
    parser.add_argument("--count", type=int, default=0, help="cases of each kind; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    restorer = load(asked.model, entropy_estimator=asked.entropy_estimator)
    degradation = read_degradation(asked.pairs)
    restorer.estimator().check_model(degradation.names, degradation.to_json())
    kinds = {
        f"{split} tiles": tiles(PairSet(asked.tiles, asked.pairs, split), asked.count)
        for split in ("test", "val")
    }
    if asked.pictures:
        kinds["pictures"] = pictures(asked.pictures, asked.count, degradation, asked.seed)
    for kind, cases in kinds.items():
        table = measure(restorer, cases)
        if kind == "test tiles":
            print(
                f"| | cases | {' | '.join(map(str, table))} |\n|{'---|' * (len(table.columns) + 2)}"
            )
        means = " | ".join(f"{mean:.2f}" for mean in table.mean())
        print(f"| {kind} | {len(table)} | {means} |", flush=True)


if __name__ == "__main__":
    main()
