"""What a model makes of one tile: given other entropies, and sampled several times."""

from __future__ import annotations

import numpy as np

from superres.core.picture_grid import draw_grid
from superres.explore.trial import SAMPLER, Advance, Trial
from superres.sampling.batch import Sampling

SAMPLES_SHOWN = 3
GAIN = 8
"""The map's brightness per 8-bit level of deviation."""


def varied(trial: Trial) -> list[int]:
    """Return which corruptions the grid varies: the tile's two strongest, in their order."""
    applied = trial.test.entropies([trial.shown])[0]
    return sorted(np.argsort(-applied, kind="stable")[:2].tolist())


def grid_cells(trial: Trial) -> int:
    """Return how many restorations the entropy grid has."""
    return len(trial.params.entropies) ** len(varied(trial))


def entropy_grid(trial: Trial, advance: Advance) -> tuple[bytes, str]:
    """Return a PNG of a tile restored as if corrupted by each pair of entropies, and its caption.

    Rows condition the model on the first of the entropies that are `varied`, columns on the second;
    the others keep what was truly applied, and the noise is the same everywhere.
    """
    entropies = trial.params.entropies
    names = [trial.test.entropy_names[plane] for plane in varied(trial)]
    down = entropies if len(names) > 0 else [0.0]
    across = entropies if len(names) > 1 else [0.0]
    restored = restore_as_if(trial, advance)
    picture = draw_grid(
        restored.reshape(len(down), len(across), *restored.shape[1:]),
        [f"{value:g}" for value in down] if names else [""],
        [f"{value:g}" for value in across] if len(names) > 1 else [""],
        f"{names[0]}, conditioned on" if names else "",
        f"{names[1]}, conditioned on" if len(names) > 1 else "",
    )
    source = trial.test.rows["source"].iloc[trial.shown]
    caption = (
        f"A test tile ({source}) restored in {trial.params.grid_steps} steps of {SAMPLER} at "
        f"temperature 1, conditioned on other entropies than were applied "
        f"({trial.entropies_of(trial.shown)}); the noise is the same everywhere."
    )
    return picture, caption


def restore_as_if(trial: Trial, advance: Advance) -> np.ndarray:
    """Return the grid's restorations, row by row: uint8, N x H x W x 3."""
    levels, planes = trial.params.entropies, varied(trial)
    entropies = trial.test.entropies([trial.shown]).repeat(grid_cells(trial), axis=0)
    # The first plane changes slowest: rows of the grid.
    grids = np.meshgrid(*[levels] * len(planes), indexing="ij")
    for plane, values in zip(planes, grids, strict=True):
        entropies[:, plane] = values.ravel()
    items = np.full(len(entropies), trial.shown)
    how = Sampling(SAMPLER, trial.params.grid_steps)
    return trial.restore(trial.test.low(items), entropies, trial.ids(items), how, advance)


def uncertainty(trial: Trial, advance: Advance) -> tuple[bytes, str]:
    """Return a PNG of a tile's input, samples, mean, deviation and original, and its caption."""
    count = trial.params.samples
    items = np.full(count, trial.shown)
    ids = [f"{name}/{number}" for number, name in enumerate(trial.ids(items))]
    how = Sampling(SAMPLER, trial.params.grid_steps)
    entropies = trial.test.entropies(items)
    samples = trial.restore(trial.test.low(items), entropies, ids, how, advance)
    spread = deviation(samples)
    scale = trial.test.scale
    shown = {"input": trial.test.low([trial.shown])[0].repeat(scale, axis=0).repeat(scale, axis=1)}
    shown |= {f"sample {number + 1}": one for number, one in enumerate(samples[:SAMPLES_SHOWN])}
    shown |= {
        f"mean of {count}": samples.mean(axis=0).round().astype(np.uint8),
        "deviation": (GAIN * spread).clip(0, 255).astype(np.uint8),
        "original": trial.test.high([trial.shown])[0],
    }
    caption = (
        f"{count} samples of that tile that differ in their noise alone. Where they deviate, the "
        f"input leaves open what was there: {spread.mean():.1f} levels of 255 on average, white at "
        f"{256 // GAIN} and more."
    )
    return draw_grid([list(shown.values())], [""], list(shown)), caption


def deviation(samples: np.ndarray) -> np.ndarray:
    """Return how samples of one picture (N x H x W x 3) differ: float64, H x W, in 8-bit levels.

    The standard deviation over samples of each channel (of N - 1 degrees of freedom), averaged
    over the channels.
    """
    return np.asarray(samples.astype(np.float64).std(axis=0, ddof=1).mean(axis=2))
