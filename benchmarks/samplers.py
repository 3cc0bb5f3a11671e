"""Samplers by network evaluations: PSNR of samples and of their mean, and SWD, on test pairs.

    PYTHONPATH=src python benchmarks/samplers.py               # the table in docs/samplers.md
    PYTHONPATH=src python benchmarks/samplers.py --only heun   # some samplers, every spacing

Needs `models/best`, `data/tiles` and `data/pairs` of a pipeline that has run. Every row has the
same tiles and the same x_T; noise of the steps has temperature 1 unless a row says otherwise. FID
is there where the Inception weights are (docs/metrics.md).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from superres.core.device import pick_device
from superres.core.distributed import Processes
from superres.core.storage import write_csv
from superres.core.tensors import to_pictures
from superres.degradation.dataset import PairSet
from superres.metrics.config import SwdParams
from superres.metrics.feature_distances import frechet_distance
from superres.metrics.features import describe_pictures
from superres.metrics.fidelity import psnr
from superres.metrics.inception import Inception, load_inception
from superres.metrics.swd import descriptors, sliced_distances
from superres.metrics.weights import WeightsMissing, find_weights
from superres.model.folder import SuperResolver, load_model
from superres.sampling.batch import Batch, Sampling
from superres.sampling.samplers import SAMPLERS, evaluations
from superres.sampling.spacing import SPACINGS

SWD = SwdParams(patches_per_tile=128, max_patches=65536, projections=512, seed=0)
TABLE = [
    Sampling("ddpm", 50),
    Sampling("ddpm", 50, temperature=0.9),
    Sampling("ddpm", 20),
    Sampling("ddim", 50),
    Sampling("ddim", 20),
    *(
        Sampling(name, steps, "trailing")
        for name in ("dpmpp_2m", "dpmpp_2m_sde")
        for steps in (10, 15, 20)
    ),
    *(Sampling("heun", steps, "trailing") for steps in (5, 8, 10)),
]


def grid(samplers: list[str], steps: list[int]) -> list[Sampling]:
    """Return every combination of samplers, spacings and about that many evaluations."""
    rows = []
    for sampler in samplers:
        for count in steps:
            visited = (count + 1) // 2 if sampler == "heun" else count
            rows += [Sampling(sampler, visited, name) for name in ("linear", *SPACINGS)]
    return rows


def inception() -> Inception | None:
    """Return the network behind FID, or None, with the reason on the terminal."""
    try:
        return load_inception(find_weights().path).to(pick_device())
    except WeightsMissing as error:
        print(f"no FID: {error}")
        return None


def measure(
    how: Sampling,
    model: SuperResolver,
    network: Inception | None,
    test: PairSet,
    items: np.ndarray,
    samples: int,
    batch: int,
) -> dict[str, Any]:
    """Return one row of the table."""
    originals, ids = test.high(items), list(test.rows["id"].iloc[items])
    reference = descriptors(originals, ids, SWD)
    singles, means = [], []
    begun = time.perf_counter()
    for first in range(0, len(items), batch):
        some = items[first : first + batch]
        names = ids[first : first + batch]
        tiles = Batch(model, test.low(some), test.entropies(some), names, seed=0)
        drawn = [tiles.sample(how, repeat) for repeat in range(samples)]
        singles.append(np.stack([to_pictures(one) for one in drawn]))
        means.append(to_pictures(torch.stack(drawn).mean(0)))
    seconds = time.perf_counter() - begun
    single, mean = np.concatenate(singles, axis=1), np.concatenate(means)
    distances = [
        np.mean(sliced_distances(reference, descriptors(one, ids, SWD), SWD)) for one in single
    ]
    fid = None
    if network is not None:
        alone = Processes(0, 1, model.device)
        described = [
            describe_pictures(network, tiles.__getitem__, ids, alone, lambda _: None)
            for tiles in (single[0], originals)
        ]
        fid = frechet_distance(*(one for one in described if one is not None))
    return {
        **{key: asdict(how)[key] for key in ("sampler", "steps", "spacing", "temperature")},
        "evaluations": evaluations(how.sampler, how.steps),
        "psnr": np.mean([_psnr(one, originals) for one in single]),
        "psnr_mean": _psnr(mean, originals),
        "swd": np.mean(distances),
        "swd_spread": np.ptp(distances),
        "fid": fid,
        "images_per_second": len(items) * samples / seconds,
    }


def _psnr(restored: np.ndarray, originals: np.ndarray) -> float:
    return float(np.mean([psnr(a, b) for a, b in zip(restored, originals, strict=True)]))


def main() -> None:
    """Measure, print a Markdown table and write a CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="models/best", help="model folder")
    parser.add_argument("--tiles", default="data/tiles")
    parser.add_argument("--pairs", default="data/pairs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/samplers.csv"))
    parser.add_argument("--count", type=int, default=0, help="test pairs; 0: all")
    parser.add_argument("--samples", type=int, default=4, help="samples per tile")
    parser.add_argument("--batch", type=int, default=16, help="tiles per network evaluation")
    parser.add_argument("--only", help=f"instead of the table: samplers of {', '.join(SAMPLERS)}")
    parser.add_argument("--steps", default="10,15,20", help="with --only: network evaluations")
    asked = parser.parse_args()

    model = load_model(asked.model, pick_device())
    test = PairSet(asked.tiles, asked.pairs, "test")
    model.check_pairs(test.scale, test.entropy_names, asked.model)
    count = min(asked.count, len(test)) or len(test)
    items = np.unique(np.linspace(0, len(test) - 1, count).round().astype(int))
    wanted = TABLE
    if asked.only:
        wanted = grid(asked.only.split(","), [int(part) for part in asked.steps.split(",")])
    network, rows = inception(), []
    for how in wanted:
        rows.append(measure(how, model, network, test, items, asked.samples, asked.batch))
        print(pd.DataFrame(rows[-1:]).to_string(header=len(rows) == 1, index=False), flush=True)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    write_csv(asked.out, pd.DataFrame(rows))
    print(f"{len(items)} tiles, {asked.samples} samples each: {asked.out}")


if __name__ == "__main__":
    main()
