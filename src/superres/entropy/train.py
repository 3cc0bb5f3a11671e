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
from superres.core.seeding import derive_seed, rng
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
from superres.entropy.network import CELL, LEVELS, EntropyNetwork, cells_of, posterior

STREAM = "strengths"
"""Part of the names that random draws have; another word would draw other numbers."""

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
    evened = [name in params.evenly for name in train.entropy_names]
    shares_of = even_shares(train.entropies(np.arange(len(train)))[:, evened])
    optimizer = AdamW(
        network.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay
    )
    with progress_bar(params.steps, "entropy", "step") as bar:
        for step in range(params.steps):
            for group in optimizer.param_groups:
                group["lr"] = params.learning_rate * _rate(step, params.steps)
            draws = rng(params.seed, STREAM, step)
            torch.manual_seed(derive_seed(params.seed, STREAM, "dropout", step))
            items = _drawn(draws, shares_of, params.batch)
            low = _turned(to_signal(train.low(items), device), draws)
            if draws.random() < params.shifted:
                low = _shifted(low, draws)
            wanted = torch.from_numpy(train.entropies(items)).to(device)
            estimated = posterior(network(low), cells_of(low))
            loss = -(shares(wanted) * estimated).sum(dim=-1).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            bar.update()


def even_shares(entropies: np.ndarray) -> np.ndarray:
    """Return how often each input is to be drawn, (N,), summing up to 1.

    Where a corruption was applied, its entropies come equally often from each of `LEVELS` - 1 equal
    parts of [0, 1], as far as there are any; inputs without it keep their share.

    Args:
        entropies: of the inputs, (N, corruptions), in [0, 1].
    """
    shares = np.ones(len(entropies))
    for column in entropies.T:
        applied = column > 0
        places = np.minimum((column[applied] * (LEVELS - 1)).astype(int), LEVELS - 2)
        counts = np.bincount(places, minlength=LEVELS - 1)
        wanted = 1 / counts[places]
        shares[applied] *= wanted * len(places) / max(1, np.count_nonzero(counts))
    return shares / shares.sum()


def _drawn(draws: np.random.Generator, shares: np.ndarray, count: int) -> np.ndarray:
    if (shares == shares[0]).all():
        return draws.integers(0, len(shares), count)
    places = np.searchsorted(np.cumsum(shares), draws.random(count))
    return np.minimum(places, len(shares) - 1)


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


def _turned(low: Tensor, draws: np.random.Generator) -> Tensor:
    """Return inputs mirrored and transposed by chance, which keeps the grid of JPEG's blocks.

    That holds where it divides the inputs; elsewhere it shifts the grid, and no harm is done.
    """
    for axis in (2, 3):
        if draws.random() < 0.5:
            low = low.flip(axis)
    return low.transpose(2, 3) if draws.random() < 0.5 else low


def _shifted(low: Tensor, draws: np.random.Generator) -> Tensor:
    """Return inputs cut off their grid, a cell smaller; as they are if they have only one."""
    height, width = low.shape[-2:]
    if min(height, width) < 2 * CELL:
        return low
    down, across = draws.integers(0, CELL, 2)
    return low[..., down : down + height - CELL, across : across + width - CELL]


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
