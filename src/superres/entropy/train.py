"""The `strengths` stage: an estimator of corruption strengths learned from the pairs' inputs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import AdamW

from superres.core.device import pick_device
from superres.core.progress import progress_bar
from superres.core.seeding import derive_seed, rng
from superres.core.storage import write_json
from superres.core.tensors import to_signal
from superres.degradation.dataset import PairSet
from superres.entropy.config import StrengthsParams
from superres.entropy.estimator import EstimatorSpec, StrengthEstimator, save_estimator
from superres.entropy.network import CELL, LEVELS, StrengthNetwork, cells_of, posterior


def learn_strengths(
    params: StrengthsParams,
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
        report: JSON with the errors of each strength, and those of always saying 0 or 0.5.

    Returns:
        Facts for the timing table.

    Raises:
        SuperresError: folders that are not there or do not belong together.
    """
    train = PairSet(tiles, pairs, "train")
    device = pick_device()
    torch.manual_seed(derive_seed(params.seed, "strengths", "weights"))
    spec = EstimatorSpec(
        format="superres-strengths-2",
        entropies=list(train.entropy_names),
        degradation=train.degradation.to_json(),
        channels=params.channels,
        caution=params.caution,
    )
    network = StrengthNetwork(len(spec.entropies), params.channels, params.dropout).to(device)
    if spec.entropies:
        _train(network, params, train, device)
    estimator = StrengthEstimator(spec, network.eval().cpu())
    save_estimator(out, estimator)
    errors = {split: _errors(estimator, PairSet(tiles, pairs, split)) for split in ("val", "test")}
    write_json(report, errors)
    return {"inputs": params.steps * params.batch}


def _train(
    network: StrengthNetwork, params: StrengthsParams, train: PairSet, device: torch.device
) -> None:
    network.train()
    optimizer = AdamW(
        network.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay
    )
    with progress_bar(params.steps, "strengths", "step") as bar:
        for step in range(params.steps):
            for group in optimizer.param_groups:
                group["lr"] = params.learning_rate * _rate(step, params.steps)
            draws = rng(params.seed, "strengths", step)
            torch.manual_seed(derive_seed(params.seed, "strengths", "dropout", step))
            items = draws.integers(0, len(train), params.batch)
            low = _turned(to_signal(train.low(items), device), draws)
            if draws.random() < params.shifted:
                low = _shifted(low, draws)
            wanted = torch.from_numpy(train.entropies(items)).to(device)
            said = posterior(network(low), cells_of(low))
            loss = -(shares(wanted) * said).sum(dim=-1).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            bar.update()


def shares(strengths: Tensor) -> Tensor:
    """Return how strengths in [0, 1], (...), are shared by the two levels beside each.

    Returns:
        Of the shape (..., LEVELS); sums are 1, and the levels' means are the strengths.
    """
    levels = torch.arange(LEVELS, device=strengths.device)
    return (1 - (strengths[..., None] * (LEVELS - 1) - levels).abs()).clamp_min(0)


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


def _errors(estimator: StrengthEstimator, pairs: PairSet) -> dict[str, Any]:
    """Return by strength the mean and root-mean-square error, the bias, and what guesses give."""
    names = estimator.spec.entropies
    items = np.arange(len(pairs))
    said = [
        estimator.estimate(to_signal(pairs.low(items[item : item + 1])))
        for item in range(len(items))
    ]
    told = pairs.entropies(items)
    errors = {}
    for column, name in enumerate(names):
        truth = told[:, column].astype(np.float64)
        error = np.array([one[name] for one in said]) - truth
        errors[name] = {
            "mean_absolute": round(float(np.abs(error).mean()), 4),
            "root_mean_square": round(float(np.sqrt((error**2).mean())), 4),
            "bias": round(float(error.mean()), 4),
            "mean_absolute_of_0": round(float(np.abs(truth).mean()), 4),
            "mean_absolute_of_0.5": round(float(np.abs(0.5 - truth).mean()), 4),
        }
    return {"pictures": len(items), "strengths": errors}
