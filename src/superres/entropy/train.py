"""The `entropy` stage: an estimator of corruption entropies learned from the pairs' inputs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import AdamW

from superres.core.device import pick_device
from superres.core.errors import SuperresError
from superres.core.params import NOISE
from superres.core.progress import progress_bar
from superres.core.seeding import derive_seed
from superres.core.storage import write_json
from superres.core.tensors import to_signal
from superres.degradation.dataset import PairSet
from superres.entropy.config import EntropyParams
from superres.entropy.estimator import (
    EntropyEstimator,
    EstimatorSpec,
    load_estimator,
    save_estimator,
)
from superres.entropy.inputs import STREAM, EstimatorInputs
from superres.entropy.network import LEVELS, EntropyNetwork, cells_of, posterior

NO_CORRUPTIONS = "no corruptions: there is nothing to estimate"


def train_estimator(
    params: EntropyParams,
    tiles: str | Path,
    pairs: str | Path,
    out: str | Path,
    report: str | Path,
) -> dict[str, int]:
    """Train the estimator on the train pairs and measure it on the val and test pairs.

    Args:
        params: network and optimisation.
        tiles: folder of tiles.
        pairs: folder of pairs.
        out: the estimator's folder.
        report: JSON with the errors of each entropy, and those of always saying 0 or 0.5; a note
            where the inputs have no corruptions.

    Returns:
        Facts for the timing table.

    Raises:
        SuperresError: folders that are not there or do not belong together.
    """
    train = PairSet(tiles, pairs, "train")
    device = pick_device()
    torch.manual_seed(derive_seed(params.seed, STREAM, "weights"))
    spec = EstimatorSpec(
        format="superres-entropy-1",
        entropies=list(train.entropy_names),
        degradation=train.degradation.to_json(),
        channels=params.channels,
        caution=params.caution,
    )
    if not spec.entropies:
        save_estimator(out, EntropyEstimator(spec))
        write_json(report, {"note": NO_CORRUPTIONS})
        print(f"entropy: {NO_CORRUPTIONS}")
        return {"inputs": 0}
    network = EntropyNetwork(len(spec.entropies), params.channels, params.dropout).to(device)
    if params.start_from != NOISE:
        network.load_state_dict(_starting_weights(spec, params.start_from))
    _train(network, params, train, device)
    estimator = EntropyEstimator(spec, network.eval().cpu())
    save_estimator(out, estimator)
    errors = {split: _errors(estimator, PairSet(tiles, pairs, split)) for split in ("val", "test")}
    write_json(report, errors)
    return {"inputs": params.steps * params.batch}


def _train(
    network: EntropyNetwork, params: EntropyParams, train: PairSet, device: torch.device
) -> None:
    network.train()
    inputs = EstimatorInputs(train, params)
    optimizer = AdamW(
        network.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay
    )
    with progress_bar(params.steps, "entropy", "step") as bar:
        for step in range(params.steps):
            for group in optimizer.param_groups:
                group["lr"] = params.learning_rate * _rate(step, params.steps)
            torch.manual_seed(derive_seed(params.seed, STREAM, "dropout", step))
            low, wanted = inputs.at(step, device)
            estimated = posterior(network(low), cells_of(low))
            loss = -(shares(wanted) * estimated).sum(dim=-1).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            bar.update()


def shares(entropies: Tensor) -> Tensor:
    """Return how entropies in [0, 1], (...), are shared by the two levels beside each.

    Returns:
        Of the shape (..., LEVELS); sums are 1, and the levels' means are the entropies.
    """
    levels = torch.arange(LEVELS, device=entropies.device)
    return (1 - (entropies[..., None] * (LEVELS - 1) - levels).abs()).clamp_min(0)


def _starting_weights(spec: EstimatorSpec, folder: str) -> dict[str, Tensor]:
    """Return the weights of another estimator, which must be of the same kind."""
    start = load_estimator(folder)
    for key in ("entropies", "channels"):
        there, here = getattr(start.spec, key), getattr(spec, key)
        if there != here:
            raise SuperresError(
                f"entropy.start_from: {folder} does not fit params.yaml: {key} is {there!r} "
                f"there, {here!r} here; {NOISE} begins with noise"
            )
    return start.network.state_dict()


def _rate(step: int, steps: int) -> float:
    rise = min(1.0, (step + 1) / max(1, steps // 20))
    return rise * 0.5 * (1 + math.cos(math.pi * step / steps))


def _errors(estimator: EntropyEstimator, pairs: PairSet) -> dict[str, Any]:
    """Return by entropy the mean and root-mean-square error, the bias, and what guesses give."""
    names = estimator.spec.entropies
    items = np.arange(len(pairs))
    estimated = [
        estimator.estimate(to_signal(pairs.low(items[item : item + 1])))
        for item in range(len(items))
    ]
    applied = pairs.entropies(items)
    errors = {}
    for column, name in enumerate(names):
        truth = applied[:, column].astype(np.float64)
        error = np.array([one[name] for one in estimated]) - truth
        errors[name] = {
            "mean_absolute": round(float(np.abs(error).mean()), 4),
            "root_mean_square": round(float(np.sqrt((error**2).mean())), 4),
            "bias": round(float(error.mean()), 4),
            "mean_absolute_of_0": round(float(np.abs(truth).mean()), 4),
            "mean_absolute_of_0.5": round(float(np.abs(0.5 - truth).mean()), 4),
        }
    return {"pictures": len(items), "entropies": errors}
