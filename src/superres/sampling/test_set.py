"""Restoring the test tiles, as the `sample` stage does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from superres.core.device import pick_device
from superres.core.precision import Computing
from superres.core.progress import progress_bar
from superres.core.storage import MANIFEST, ShardWriter, replacing_folder, write_csv, write_json
from superres.core.tensors import to_pictures
from superres.degradation.dataset import PairSet
from superres.model.folder import load_model
from superres.sampling.batch import Batch, Sampling
from superres.sampling.config import SamplerParams
from superres.sampling.spacing import check_steps


def restore_tiles(
    params: SamplerParams,
    model_folder: str | Path,
    tiles: str | Path,
    pairs: str | Path,
    out: str | Path,
) -> dict[str, int]:
    """Restore every test pair: one sample, the estimate, and the mean where repeats > 1.

    Args:
        params: sampler, steps, repeats.
        model_folder: the model.
        tiles: folder of tiles.
        pairs: folder of pairs.
        out: folder of restored tiles: shards named after the contender, a manifest with a row per
            contender and tile, and `sampling.json`: the sampler's params, and `evaluations`, how
            often the network was evaluated for each sample of a tile, with those of guidance.

    Returns:
        Facts for the timing table.

    Raises:
        SuperresError: a model that does not fit the pairs, or more steps than it was trained on.
    """
    how = Computing(params.precision, params.compile)
    model = load_model(model_folder, pick_device(), how)
    test = PairSet(tiles, pairs, "test")
    model.check_pairs(test.scale, test.entropy_names, model_folder)
    check_steps("params.yaml: sampler.steps", params.steps, model.diffusion)
    way = Sampling(
        params.name,
        params.steps,
        params.spacing,
        params.eta,
        params.temperature,
        params.guidance.scale,
        params.guidance.ramp,
        tuple(params.guidance.drop),
    )
    rows: list[dict[str, object]] = []
    with replacing_folder(out) as partial:
        names = ["model", "estimate"] + (["mean"] if params.repeats > 1 else [])
        writers = {name: ShardWriter(partial, name) for name in names}
        total = len(test) * params.repeats * params.steps
        with progress_bar(total, "sample", "step") as bar:
            for first in range(0, len(test), params.batch):
                items = np.arange(first, min(first + params.batch, len(test)))
                ids = list(test.rows["id"].iloc[items])
                batch = Batch(model, test.low(items), test.entropies(items), ids, params.seed)
                restored = _contenders(batch, way, params.repeats, bar)
                rows += _append(writers, restored, test.rows.iloc[items])
        for writer in writers.values():
            writer.close()
        write_csv(partial / MANIFEST, pd.DataFrame(rows))
        write_json(
            partial / "sampling.json",
            {
                "sampler": params.name,
                "steps": params.steps,
                "evaluations": way.evaluations,
                "spacing": params.spacing,
                "eta": params.eta,
                "guidance": params.guidance.model_dump(),
                "temperature": params.temperature,
                "repeats": params.repeats,
                "precision": params.precision,
                "compile": params.compile,
                "seed": params.seed,
                "scale": model.spec.scale,
                "entropies": model.spec.entropies,
                "model": model.spec.provenance,
            },
        )
    return {"images": len(test) * params.repeats}


def _contenders(batch: Batch, way: Sampling, repeats: int, bar: tqdm) -> dict[str, np.ndarray]:
    tiles = len(batch.low)
    samples = [batch.sample(way, repeat, lambda *_: bar.update(tiles)) for repeat in range(repeats)]
    restored = {"model": to_pictures(samples[0]), "estimate": to_pictures(batch.estimate())}
    if repeats > 1:
        restored["mean"] = to_pictures(torch.stack(samples).mean(0))
    return restored


def _append(
    writers: dict[str, ShardWriter], restored: dict[str, np.ndarray], pairs: pd.DataFrame
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, pictures in restored.items():
        for pair, picture in zip(pairs.itertuples(), pictures, strict=True):
            shard, index = writers[name].append(picture)
            rows.append(
                {
                    "id": pair.id,
                    "split": "test",
                    "contender": name,
                    "shard": shard,
                    "index": index,
                    "source": pair.source,
                }
            )
    return rows
