"""Choosing the checkpoint that does best on the val pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from superres.data.dataset import PairSet
from superres.device import pick_device
from superres.errors import SuperresError
from superres.evaluation.distribution import QUICK, descriptors, sliced_distances
from superres.evaluation.fidelity import psnr
from superres.inference import Batch, Sampling
from superres.model_folder import load_model, save_model
from superres.params.select import SelectParams
from superres.pixels import to_pictures
from superres.progress import progress_bar
from superres.storage import write_csv

Better = Callable[[float, float], bool]
METRICS: dict[str, Better] = {
    "swd": lambda new, best: new < best,
    "psnr_estimate": lambda new, best: new > best,
    "psnr_sample": lambda new, best: new > best,
}


def select_checkpoint(
    params: SelectParams,
    checkpoints: str | Path,
    tiles: str | Path,
    pairs: str | Path,
    out: str | Path,
    table: str | Path,
) -> dict[str, int]:
    """Score every checkpoint on val pairs and write the best one, with its score, as a model.

    Args:
        params: metric, tiles, steps.
        checkpoints: folder of model folders, `step-*`.
        tiles: folder of tiles.
        pairs: folder of pairs.
        out: the chosen model's folder; of equal scores the earliest wins.
        table: CSV with a row per checkpoint.

    Returns:
        Facts for the timing table.

    Raises:
        SuperresError: no checkpoint, or no val pair.
    """
    folders = sorted(Path(checkpoints).glob("step-*"))
    if not folders:
        raise SuperresError(f"{checkpoints}: holds no checkpoint (step-*)")
    val = PairSet(tiles, pairs, "val")
    count = min(params.tiles, len(val))
    items = np.unique(np.linspace(0, len(val) - 1, count).round().astype(int))
    with progress_bar(len(folders) * len(items), "select", "img") as bar:
        scores = [_score(folder, val, items, params, bar) for folder in folders]
    best = 0
    for index, score in enumerate(scores):
        if METRICS[params.metric](score[params.metric], scores[best][params.metric]):
            best = index
    rows = [
        {"step": load_step(folder), **score, "chosen": int(index == best)}
        for index, (folder, score) in enumerate(zip(folders, scores, strict=True))
    ]
    model = load_model(folders[best])
    provenance = {**model.spec.provenance, "metric": params.metric, "scores": scores[best]}
    spec = model.spec.model_copy(update={"provenance": provenance})
    save_model(out, spec, model.network.state_dict())
    write_csv(table, pd.DataFrame(rows))
    return {"images": len(folders) * len(items)}


def load_step(folder: Path) -> int:
    """Return the step that a checkpoint's folder is named after."""
    return int(folder.name.removeprefix("step-"))


def _score(
    folder: Path, val: PairSet, items: np.ndarray, params: SelectParams, bar: tqdm
) -> dict[str, float]:
    model = load_model(folder, pick_device())
    estimates, samples = [], []
    for first in range(0, len(items), params.batch):
        some = items[first : first + params.batch]
        ids = list(val.rows["id"].iloc[some])
        batch = Batch(model, val.low(some), val.entropies(some), ids, params.seed)
        estimates.append(to_pictures(batch.estimate()))
        samples.append(to_pictures(batch.sample(Sampling("ddpm", params.steps))))
        bar.update(len(some))
    originals, ids = val.high(items), list(val.rows["id"].iloc[items])
    sampled = np.concatenate(samples)
    distances = sliced_distances(
        descriptors(originals, ids, QUICK), descriptors(sampled, ids, QUICK), QUICK
    )
    return {
        "psnr_estimate": _mean_psnr(np.concatenate(estimates), originals),
        "psnr_sample": _mean_psnr(sampled, originals),
        "swd": float(np.mean(distances)),
    }


def _mean_psnr(restored: np.ndarray, originals: np.ndarray) -> float:
    return float(
        np.mean([psnr(one, other) for one, other in zip(restored, originals, strict=True)])
    )
