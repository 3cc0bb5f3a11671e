"""What a candidate does on val pairs, and on other val pairs that might have been.

All figures come from one pass over the pairs: the loss, the one-evaluation estimate and one sample
of few steps. Noise belongs to a tile, so candidates differ by their weights alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from superres.core.distributed import Processes
from superres.core.tensors import to_pictures
from superres.degradation.dataset import PairSet
from superres.diffusion.timesteps import spread
from superres.metrics.bootstrap import resampled_means, resamples
from superres.metrics.config import BootstrapParams
from superres.metrics.feature_distances import frechet_distance
from superres.metrics.feature_sets import feature_set
from superres.metrics.features import features_of
from superres.metrics.fidelity import psnr
from superres.metrics.grain import color_grain, luma_grain, smooth_roughness
from superres.metrics.inception import Inception, load_inception
from superres.metrics.swd import QUICK, Patches, sliced_distances
from superres.metrics.weights import find_weights
from superres.model.resolver import SuperResolver
from superres.sampling.batch import Batch, Sampling
from superres.sampling.samplers import evaluations
from superres.selection.config import SelectParams
from superres.training.config import LossParams
from superres.training.data import TrainingBatch, validation_batch
from superres.training.objectives import each, make_objective

RESAMPLES = 1000
"""Of figures that are means over tiles."""
FLAWLESS = 60.0
"""PSNR in dB that a tile counts with at most: equal ones have an infinite one, and the rounding to
8 bits alone leaves 59."""
SET_RESAMPLES = 100
"""Of distances between sets, which are computed anew each time."""

Figures = dict[str, float | None]
Distance = Callable[[np.ndarray], float]
"""Of the tiles in some rows, which may repeat, to their originals."""


class Scores(NamedTuple):
    """A candidate's figures, and the chosen one's over resamples that all candidates share."""

    figures: Figures
    """By column of the table; None where it was not computed."""
    resampled: list[float]


@dataclass(frozen=True)
class ValTiles:
    """The val pairs that candidates are compared on."""

    pairs: PairSet
    items: np.ndarray
    """Positions in `pairs`."""

    @property
    def ids(self) -> list[str]:
        """The pairs' ids."""
        return self.pairs.ids(self.items)

    @property
    def photographs(self) -> np.ndarray:
        """The name of each tile's photograph."""
        return self.pairs.rows["source"].iloc[self.items].to_numpy()


def evaluations_per_tile(params: SelectParams) -> int:
    """Return how often the network sees a tile: for the loss, the estimate and the sample."""
    return 2 + evaluations(params.sampler, params.steps)


class _Part(NamedTuple):
    """What a candidate makes of some of the tiles, in their order."""

    figures: dict[str, np.ndarray]
    """Of each tile."""
    patches: list[list[np.ndarray]]
    """Of each tile's sample, by level."""
    features: np.ndarray | None
    """Of the samples, where FID is computed."""


class Scorer:
    """Scores candidates on the same tiles with the same noise, by any number of processes.

    Batches of tiles are dealt out; every process then has the scores of all.

    Args:
        params: metric, sampler, batch.
        loss: what training minimised.
        tiles: the val pairs.
        processes: this one among its peers, all of which make a scorer.

    Attributes:
        count: of the tiles.
        weights: what tells scores made with other weights of the FID's network apart.

    Raises:
        WeightsMissing: the metric is `fid` and its network's weights are not there.
    """

    def __init__(
        self, params: SelectParams, loss: LossParams, tiles: ValTiles, processes: Processes
    ) -> None:
        self._params, self._loss, self._tiles = params, loss, tiles
        self._processes = processes
        self.count = len(tiles.items)
        rows = np.arange(self.count)
        self._pieces = [rows[at : at + params.batch] for at in range(0, self.count, params.batch)]
        self._mine = processes.deal(self._pieces)
        self._originals = [tiles.pairs.high(tiles.items[piece]) for piece in self._mine]
        self._batches = [
            validation_batch(tiles.pairs, tiles.items[piece], processes.device)
            for piece in self._mine
        ]
        self._inception: Inception | None = None
        self.weights = ""
        if params.metric == "fid":
            found = processes.by_turns(find_weights)
            self.weights = f"-{found.sha256[:8]}"
            self._inception = load_inception(found.path).to(processes.device)
        described = map(self._described, self._mine, self._originals)
        parts = processes.in_order(self._pieces, described, to_all=True)
        self._patches, self._features = self._joined([part for _, part in parts])

    def score(self, model: SuperResolver, bar: tqdm) -> Scores:
        """Return a model's scores; the bar moves by tiles."""
        parts = []
        mine = map(partial(self._part, model), self._mine, self._batches, self._originals)
        for _, part in self._processes.in_order(self._pieces, mine, to_all=True):
            parts.append(part)
            bar.update(len(part.patches))
        by_tile = {
            name: np.concatenate([part.figures[name] for part in parts])
            for name in parts[0].figures
        }
        patches, features = self._joined(parts)
        distances: dict[str, Distance] = {"swd": self._swd(patches)}
        if features is not None:
            distances["fid"] = self._fid(features)
        rows = np.arange(self.count)
        figures: Figures = {name: float(values.mean()) for name, values in by_tile.items()}
        figures |= {"fid": None} | {name: far(rows) for name, far in distances.items()}
        metric = self._params.metric
        if metric in by_tile:
            chosen = by_tile[metric][:, np.newaxis]
            return Scores(figures, self._means(chosen).tolist())
        drawn = list(resamples(self._tiles.photographs, self._bootstrap(SET_RESAMPLES)))
        far = map(distances[metric], self._processes.deal(drawn))
        found = self._processes.in_order(drawn, far, to_all=True)
        return Scores(figures, [distance for _, distance in found])

    def _part(
        self,
        model: SuperResolver,
        piece: np.ndarray,
        batch: TrainingBatch,
        originals: np.ndarray,
    ) -> _Part:
        """Return what a model makes of a batch of tiles (rows of `ValTiles.items`)."""
        params = self._params
        estimates, samples = self._restored(model, piece)
        objective = make_objective(model, self._loss, "fp32")
        timesteps = spread(self.count, model.diffusion.timesteps)[piece].to(model.device)
        losses = each(objective, batch, timesteps, params.batch)
        restoring = params.restoring
        seen = estimates if restoring is not None and restoring.estimate else samples
        figures = {
            "appearance": np.array(list(map(appearance, seen, originals))),
            "psnr_estimate": _psnr(estimates, originals),
            "psnr_sample": _psnr(samples, originals),
            "val_loss": losses.double().cpu().numpy(),
        }
        return self._described(piece, samples)._replace(figures=figures)

    def _described(self, piece: np.ndarray, pictures: np.ndarray) -> _Part:
        """Return what distances between sets need of some tiles' pictures."""
        ids = self._tiles.ids
        patches = Patches(ids, QUICK)
        of_each = [patches.of(tile, ids[row]) for row, tile in zip(piece, pictures, strict=True)]
        if self._inception is None:
            return _Part({}, of_each, None)
        return _Part({}, of_each, np.concatenate(list(features_of(self._inception, pictures))))

    def _joined(self, parts: Sequence[_Part]) -> tuple[list[np.ndarray], np.ndarray | None]:
        """Return the patches by level and the features of all tiles."""
        patches = Patches(self._tiles.ids, QUICK)
        of_each = chain.from_iterable(part.patches for part in parts)
        for name, levels in zip(self._tiles.ids, of_each, strict=True):
            patches.put(name, levels)
        features = [part.features for part in parts if part.features is not None]
        return patches.levels, np.concatenate(features) if features else None

    def _restored(self, model: SuperResolver, piece: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimate and the sample of each tile: uint8, B x H x W x 3."""
        params, pairs, items = self._params, self._tiles.pairs, self._tiles.items[piece]
        how = Sampling(
            params.sampler,
            params.steps,
            params.spacing,
            temperature=params.temperature,
            **params.finishing(),
        )
        conditions = pairs.low(items), pairs.entropies(items), pairs.ids(items)
        batch = Batch(model, *conditions, params.seed)
        return to_pictures(batch.estimate()), to_pictures(batch.sample(how))

    def _means(self, values: np.ndarray) -> np.ndarray:
        bootstrap = self._bootstrap(RESAMPLES)
        return resampled_means(values, self._tiles.photographs, bootstrap)[:, 0]

    def _bootstrap(self, count: int) -> BootstrapParams:
        return BootstrapParams(resamples=count, seed=self._params.seed)

    def _swd(self, restored: list[np.ndarray]) -> Distance:
        # Patches lie in the order of the ids.
        places = np.argsort(np.argsort(self._tiles.ids))

        def distance(rows: np.ndarray) -> float:
            originals, others = (
                [_of_tiles(level, places, rows) for level in levels]
                for levels in (self._patches, restored)
            )
            return float(np.mean(sliced_distances(originals, others, QUICK)))

        return distance

    def _fid(self, features: np.ndarray) -> Distance:
        originals = self._features
        assert originals is not None
        return lambda rows: frechet_distance(
            feature_set(originals[rows]), feature_set(features[rows])
        )


def appearance(restored: np.ndarray, original: np.ndarray) -> float:
    """Return how good a restored tile looks, in dB: its PSNR, less what grain and blur cost.

    10 dB of fine detail in luma or colour that is missing or too much cost 1 dB, and so does 1
    level of roughness where the original is smooth (`superres.metrics.grain`): PSNR alone prefers
    blur, and SWD grain.

    Args:
        restored: uint8, H x W x 3.
        original: of the same shape.
    """
    grain = abs(luma_grain(restored, original)) + abs(color_grain(restored, original))
    rough = smooth_roughness(restored, original)
    cost = grain / 10 + (0.0 if math.isnan(rough) else abs(rough))
    return min(psnr(restored, original), FLAWLESS) - cost


def _of_tiles(level: np.ndarray, places: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the patches of some tiles: P x D of a level of all."""
    by_tile = level.reshape(len(places), -1, level.shape[1])
    return by_tile[places[rows]].reshape(-1, level.shape[1])


def _psnr(restored: np.ndarray, originals: np.ndarray) -> np.ndarray:
    figures = [psnr(one, other) for one, other in zip(restored, originals, strict=True)]
    return np.minimum(figures, FLAWLESS)
