"""The `entropy` stage: an estimator of corruption entropies learned from corrupted tiles."""

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
from superres.degradation.degrade import degrade, draw_entropies
from superres.entropy.config import EntropyParams
from superres.entropy.estimator import (
    FORMAT,
    EntropyEstimator,
    EstimatorSpec,
    load_estimator,
    save_estimator,
)
from superres.entropy.network import CELL, LEVELS, EntropyNetwork

STREAM = "strengths"
"""Part of the names that random draws have; another word would draw other numbers."""

ABSENT, MILD, MILDEST = 0.15, 0.2, 0.3
"""Of entropies of `evenly`: the shares that are 0, and that are drawn from below `MILDEST`."""

NO_CORRUPTIONS = "no corruptions: there is nothing to estimate"


def train_estimator(
    params: EntropyParams,
    tiles: str | Path,
    pairs: str | Path,
    out: str | Path,
    report: str | Path,
) -> dict[str, int]:
    """Train the estimator on the train tiles, and measure it on the val and test pairs.

    Args:
        params: network and optimisation.
        tiles: folder of tiles; those of training are corrupted anew.
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
        format=FORMAT,
        entropies=list(train.entropy_names),
        degradation=train.degradation.to_json(),
        channels=params.channels,
        context=True,
        caution=params.caution,
    )
    if not spec.entropies:
        save_estimator(out, EntropyEstimator(spec))
        write_json(report, {"note": NO_CORRUPTIONS})
        print(f"entropy: {NO_CORRUPTIONS}")
        return {"pictures": 0}
    network = EntropyNetwork(len(spec.entropies), params.channels, params.dropout).to(device)
    if params.start_from != NOISE:
        network.load_state_dict(_starting_weights(spec, params.start_from))
    _train(network, params, train, device)
    estimator = EntropyEstimator(spec, network.eval().cpu())
    save_estimator(out, estimator)
    errors = {split: _errors(estimator, PairSet(tiles, pairs, split)) for split in ("val", "test")}
    write_json(report, errors)
    return {"pictures": params.steps * params.batch}


def _train(
    network: EntropyNetwork, params: EntropyParams, train: PairSet, device: torch.device
) -> None:
    network.train()
    pictures = Pictures(train, params)
    optimizer = AdamW(
        network.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay
    )
    with progress_bar(params.steps, "entropy", "step") as bar:
        for step in range(params.steps):
            for group in optimizer.param_groups:
                group["lr"] = params.learning_rate * _rate(step, params.steps)
            draws = rng(params.seed, STREAM, step)
            torch.manual_seed(derive_seed(params.seed, STREAM, "dropout", step))
            parts, of, wanted = pictures.draw(draws, f"{STREAM}-{params.seed}-{step}")
            low = _turned(to_signal(parts, device), draws)
            if draws.random() < params.shifted:
                low = _shifted(low, draws)
            by_part = network(low)
            said = by_part.new_zeros(len(wanted), by_part.shape[1])
            said = said.index_add(0, torch.from_numpy(of).to(device), by_part)
            entropies = torch.from_numpy(wanted).to(device)
            loss = -(shares(entropies) * network.posterior(said)).sum(dim=-1).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            bar.update()


class Pictures:
    """Pictures to learn from: some tiles of one photograph, all corrupted alike and anew.

    Args:
        train: whose tiles are used; its stored inputs are not.
        params: of the stage.
    """

    def __init__(self, train: PairSet, params: EntropyParams) -> None:
        self._train, self._params = train, params
        copies = train.rows["tile_id"].str.rsplit("-", n=2).str[0]  # of a photograph, by reduction
        self._photographs = list(train.rows.groupby(copies.to_numpy(), sort=False).indices.values())

    def draw(
        self, draws: np.random.Generator, item: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return `params.batch` pictures' parts, as many of each as chance wants.

        Half of the pictures are cut from one place of a photograph, half are spread over it.

        Args:
            draws: what is drawn from.
            item: identity of the batch.

        Returns:
            Inputs, uint8, N x h x w x 3; which picture each belongs to, (N,), rising from 0; the
            pictures' entropies, float32, (pictures, corruptions).
        """
        parts, of, entropies = [], [], []
        for picture in range(self._params.batch):
            tiles = self._photographs[draws.integers(len(self._photographs))]
            count = min(int(draws.integers(1, self._params.parts + 1)), len(tiles))
            first = draws.integers(len(tiles) - count + 1)
            together = tiles[first : first + count]
            chosen = together if draws.random() < 0.5 else draws.choice(tiles, count, replace=False)
            wanted = self._entropies(draws)
            applied: dict[str, float] = {}
            for tile in chosen:
                high = self._train.high_at(int(tile))
                low, applied = degrade(
                    self._train.degradation, high, wanted, f"{item}-{picture}-{tile}"
                )
                parts.append(low)
            of += [picture] * count
            entropies.append(list(applied.values()))
        return np.stack(parts), np.array(of), np.array(entropies, np.float32)

    def _entropies(self, draws: np.random.Generator) -> dict[str, float]:
        """Return entropies as `degrade` draws them, those of `params.evenly` evenly where applied.

        Except that mild ones, and none, come oftener still: taking a clean picture for a blurred
        one spoils it most.
        """
        degradation = self._train.degradation
        entropies = draw_entropies(degradation, draws)
        for step in degradation.corruptions:
            if step.name in self._params.evenly and entropies[step.name] > 0:
                kind, unit = draws.random(2)
                unit *= 0.0 if kind < ABSENT else MILDEST if kind < ABSENT + MILD else 1.0
                entropies[step.name] = round(step.low + (step.high - step.low) * unit, 6)
        return entropies


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
    for key in ("entropies", "channels", "context"):
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
    said = [
        estimator.estimate(to_signal(pairs.low(items[item : item + 1])))
        for item in range(len(items))
    ]
    applied = pairs.entropies(items)
    errors = {}
    for column, name in enumerate(names):
        truth = applied[:, column].astype(np.float64)
        error = np.array([one[name] for one in said]) - truth
        errors[name] = {
            "mean_absolute": round(float(np.abs(error).mean()), 4),
            "root_mean_square": round(float(np.sqrt((error**2).mean())), 4),
            "bias": round(float(error.mean()), 4),
            "mean_absolute_of_0": round(float(np.abs(truth).mean()), 4),
            "mean_absolute_of_0.5": round(float(np.abs(0.5 - truth).mean()), 4),
        }
    return {"pictures": len(items), "entropies": errors}
