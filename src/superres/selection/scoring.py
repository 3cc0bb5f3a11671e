"""What a candidate does on val pairs, and on other val pairs that might have been.

All figures come from one pass over the pairs: the loss, the one-evaluation estimate and one sample
of few steps. Noise belongs to a tile, so candidates differ by their weights alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from superres.core.device import pick_device
from superres.core.tensors import to_pictures
from superres.degradation.dataset import PairSet
from superres.metrics.bootstrap import resampled_means, resamples
from superres.metrics.config import BootstrapParams
from superres.metrics.feature_distances import frechet_distance
from superres.metrics.feature_sets import feature_set
from superres.metrics.features import features_of
from superres.metrics.fidelity import psnr
from superres.metrics.grain import color_grain, luma_grain, smooth_roughness
from superres.metrics.inception import Inception, load_inception
from superres.metrics.swd import QUICK, descriptors, sliced_distances
from superres.metrics.weights import find_weights
from superres.model.resolver import SuperResolver
from superres.sampling.batch import Batch, Sampling
from superres.sampling.samplers import evaluations
from superres.selection.config import SelectParams
from superres.training.config import LossParams
from superres.training.data import validation_batch
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


class Scorer:
    """Scores candidates on the same tiles with the same noise.

    Args:
        params: metric, sampler, batch.
        loss: what training minimised.
        tiles: the val pairs.

    Attributes:
        count: of the tiles.
        weights: what tells scores made with other weights of the FID's network apart.

    Raises:
        WeightsMissing: the metric is `fid` and its network's weights are not there.
    """

    def __init__(self, params: SelectParams, loss: LossParams, tiles: ValTiles) -> None:
        self._params, self._loss, self._tiles = params, loss, tiles
        self._device = pick_device()
        self._originals = tiles.pairs.high(tiles.items)
        self._batch = validation_batch(tiles.pairs, tiles.items, self._device)
        self._patches = descriptors(self._originals, tiles.ids, QUICK)
        self._inception: Inception | None = None
        self.count = len(tiles.items)
        self.weights = ""
        if params.metric == "fid":
            found = find_weights()
            self.weights = f"-{found.sha256[:8]}"
            self._inception = load_inception(found.path).to(self._device)
            self._features = self._describe(self._originals)

    def score(self, model: SuperResolver, bar: tqdm) -> Scores:
        """Return a model's scores; the bar moves by tiles."""
        estimates, samples = self._restore(model, bar)
        objective = make_objective(model, self._loss, "fp32")
        losses = each(objective, self._batch, self._params.batch)
        restoring = self._params.restoring
        seen = estimates if restoring is not None and restoring.estimate else samples
        by_tile = {
            "appearance": np.array(list(map(appearance, seen, self._originals))),
            "psnr_estimate": _psnr(estimates, self._originals),
            "psnr_sample": _psnr(samples, self._originals),
            "val_loss": losses.double().cpu().numpy(),
        }
        distances: dict[str, Distance] = {"swd": self._swd(samples)}
        if self._inception is not None:
            distances["fid"] = self._fid(self._describe(samples))
        rows = np.arange(len(self._originals))
        figures: Figures = {name: float(values.mean()) for name, values in by_tile.items()}
        figures |= {"fid": None} | {name: far(rows) for name, far in distances.items()}
        metric = self._params.metric
        if metric in by_tile:
            chosen = by_tile[metric][:, np.newaxis]
            return Scores(figures, self._means(chosen).tolist())
        drawn = resamples(self._tiles.photographs, self._bootstrap(SET_RESAMPLES))
        return Scores(figures, [distances[metric](rows) for rows in drawn])

    def _restore(self, model: SuperResolver, bar: tqdm) -> tuple[np.ndarray, np.ndarray]:
        params, pairs = self._params, self._tiles.pairs
        how = Sampling(
            params.sampler,
            params.steps,
            params.spacing,
            temperature=params.temperature,
            fidelity=params.fidelity,
        )
        estimates, samples = [], []
        for first in range(0, len(self._tiles.items), params.batch):
            some = slice(first, first + params.batch)
            items = self._tiles.items[some]
            conditions = pairs.low(items), pairs.entropies(items), self._tiles.ids[some]
            batch = Batch(model, *conditions, params.seed)
            estimates.append(to_pictures(batch.estimate()))
            samples.append(to_pictures(batch.sample(how)))
            bar.update(len(items))
        return np.concatenate(estimates), np.concatenate(samples)

    def _means(self, values: np.ndarray) -> np.ndarray:
        bootstrap = self._bootstrap(RESAMPLES)
        return resampled_means(values, self._tiles.photographs, bootstrap)[:, 0]

    def _bootstrap(self, count: int) -> BootstrapParams:
        return BootstrapParams(resamples=count, seed=self._params.seed)

    def _swd(self, samples: np.ndarray) -> Distance:
        restored = descriptors(samples, self._tiles.ids, QUICK)
        # Patches lie in the order of the ids.
        places = np.argsort(np.argsort(self._tiles.ids))

        def distance(rows: np.ndarray) -> float:
            originals, others = (
                [_of_tiles(level, places, rows) for level in levels]
                for levels in (self._patches, restored)
            )
            return float(np.mean(sliced_distances(originals, others, QUICK)))

        return distance

    def _describe(self, pictures: np.ndarray) -> np.ndarray:
        assert self._inception is not None
        return np.concatenate(list(features_of(self._inception, pictures)))

    def _fid(self, features: np.ndarray) -> Distance:
        return lambda rows: frechet_distance(
            feature_set(self._features[rows]), feature_set(features[rows])
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
