"""Whether a model trained on tiles holds up on larger pictures, restored whole.

The same pictures, of the largest size that the test photographs give, are degraded once and
restored in windows of every size: one tile each, as in training, up to all at once. Every figure is
of the same pixels, so what differs is what the model could see.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from superres.core.picture_grid import draw_grid
from superres.degradation.degrade import degrade
from superres.explore.regions import Region, assemble, cut_apart, find_regions, windows
from superres.explore.trial import (
    SAMPLER,
    Advance,
    Trial,
    finite_means,
    left_out_note,
    near_middle,
)
from superres.metrics.baselines import upsample
from superres.metrics.fidelity import psnr, ssim
from superres.metrics.swd import QUICK, descriptors, sliced_distances
from superres.sampling.batch import Sampling

TABLE = "sizes.csv"
ENDINGS = ("", "_estimate", "_bicubic")
"""Of the table's columns: a sample, the estimate, interpolation."""
PANEL_PX = 512
"""No picture is drawn larger; of larger ones the middle is."""


@dataclass(frozen=True)
class Scene:
    """A picture larger than a tile, its input, and how that was made."""

    source: str
    ids: list[str]
    """Of the tiles, row by row."""
    original: np.ndarray
    """uint8, H x H x 3."""
    low: np.ndarray
    """uint8, H/scale x H/scale x 3."""
    entropies: np.ndarray
    """The entropies applied, K."""


@dataclass(frozen=True)
class Sizes:
    """What restoring in windows of several sizes gave."""

    table: pd.DataFrame
    notes: list[str]
    picture: bytes
    caption: str
    times: dict[str, float]
    """Edge of a window in tiles to milliseconds per window of the sampled restoration."""


class Subjects:
    """The pictures that are restored, and in windows of which sizes (in tiles)."""

    def __init__(self, trial: Trial) -> None:
        wanted = sorted(trial.params.sizes)
        rows, px = trial.test.rows, trial.tile_px
        given = {edge: find_regions(rows, px, edge) for edge in wanted}
        self.sizes = [edge for edge in wanted if given[edge]]
        self.absent = [edge for edge in wanted if not given[edge]]
        self.edge = self.sizes[-1]
        self.regions = given[self.edge][: trial.params.pictures]

    def evaluations(self, steps: int) -> int:
        """Return the evaluations of single tiles: a sample and an estimate in every window."""
        tiles = sum(len(windows(self.edge, size)) * size**2 for size in self.sizes)
        return tiles * len(self.regions) * (steps + 1)

    def notes(self) -> list[str]:
        """Return a note for every size that no photograph gives."""
        return [
            f"Pictures of {edge} x {edge} tiles (explore.sizes) were left out: no test photograph "
            "has so many side by side."
            for edge in self.absent
        ]


def compare_sizes(trial: Trial, subjects: Subjects, advance: Advance) -> Sizes:
    """Restore pictures in windows of every size and measure the same tiles of each.

    The table has a row per size, with `size` in tiles, `edge_px`, `tiles` measured, and `psnr`
    (dB), `ssim`, `swd` (8-bit levels) of a sample; with the endings `_estimate` and `_bicubic`
    those of the estimate and of interpolation, and `gain` is PSNR above the latter.
    """
    scenes = [make_scene(trial, region) for region in subjects.regions]
    restored: dict[tuple[str, int], list[np.ndarray]] = {}
    times = {}
    for size in subjects.sizes:
        begin = time.perf_counter()
        restored["", size] = [sampled(trial, scene, size, advance) for scene in scenes]
        number = len(scenes) * len(windows(subjects.edge, size))
        times[str(size)] = round(1000 * (time.perf_counter() - begin) / number, 2)
        restored["_estimate", size] = [estimated(trial, scene, size, advance) for scene in scenes]
    bicubic = [upsample(scene.low, scene.original.shape[:2], "bicubic") for scene in scenes]
    restored |= {("_bicubic", size): bicubic for size in subjects.sizes}
    table, left_out = _measure(restored, scenes, subjects.edge, trial.tile_px)
    tiles = len(scenes) * subjects.edge**2
    picture, caption = _draw(trial, scenes[0], subjects, restored)
    notes = subjects.notes() + left_out_note(TABLE, left_out, tiles)
    return Sizes(table, notes, picture, caption, times)


def make_scene(trial: Trial, region: Region) -> Scene:
    """Return a region's picture, degraded as its pairs were, as one.

    The entropies are those recorded for one of its tiles, the first that is near the middle of
    what there is.
    """
    items = region.items.ravel()
    original = assemble(trial.test.high(items).reshape(*region.items.shape, *_shape(trial)))
    recorded = trial.test.entropies(items)
    # As text has it, not as float32 rounds it: the entropies that the tile's own input was made of.
    columns = [f"entropy_{name}" for name in trial.test.entropy_names]
    exact = trial.test.rows[columns].iloc[items[near_middle(recorded).argmax()]]
    drawn = dict(zip(trial.test.entropy_names, map(float, exact), strict=True))
    low, applied = degrade(trial.test.degradation, original, drawn, trial.ids(items)[0])
    entropies = np.array(list(applied.values()), np.float32)
    return Scene(region.source, trial.ids(items), original, low, entropies)


def sampled(trial: Trial, scene: Scene, size: int, advance: Advance) -> np.ndarray:
    """Return a scene with a sample in every window of `size` x `size` tiles: uint8, H x H x 3."""
    low, entropies, ids, places = _cut(trial, scene, size)
    how = Sampling(SAMPLER, trial.params.grid_steps)
    return _lay(trial.restore(low, entropies, ids, how, advance), places, scene, trial.tile_px)


def estimated(trial: Trial, scene: Scene, size: int, advance: Advance) -> np.ndarray:
    """Return a scene with the estimate in every window of `size` x `size` tiles."""
    low, entropies, ids, places = _cut(trial, scene, size)
    return _lay(trial.estimate(low, entropies, ids, advance), places, scene, trial.tile_px)


def _shape(trial: Trial) -> tuple[int, int, int]:
    return trial.tile_px, trial.tile_px, 3


def _cut(
    trial: Trial, scene: Scene, size: int
) -> tuple[np.ndarray, np.ndarray, list[str], list[tuple[int, int]]]:
    """Return a scene's input in windows, their entropies, identities, and places."""
    step = trial.tile_px // trial.test.scale
    edge = scene.low.shape[0] // step
    places = windows(edge, size)
    low = np.stack(
        [
            scene.low[row * step : (row + size) * step, column * step : (column + size) * step]
            for row, column in places
        ]
    )
    ids = [f"{scene.ids[row * edge + column]}/{size}" for row, column in places]
    return low, np.repeat(scene.entropies[np.newaxis], len(places), axis=0), ids, places


def _lay(
    pictures: np.ndarray, places: list[tuple[int, int]], scene: Scene, tile_px: int
) -> np.ndarray:
    """Return windows laid where they belong; where they overlap, the later one is seen."""
    laid = np.empty_like(scene.original)
    for picture, (row, column) in zip(pictures, places, strict=True):
        top, left = row * tile_px, column * tile_px
        laid[top : top + len(picture), left : left + len(picture)] = picture
    return laid


def _measure(
    restored: dict[tuple[str, int], list[np.ndarray]], scenes: list[Scene], edge: int, tile_px: int
) -> tuple[pd.DataFrame, int]:
    """Return the table and how many tiles are left out of PSNR's means."""

    def tiles_of(pictures: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([cut_apart(picture, edge) for picture in pictures])

    ids = [name for scene in scenes for name in scene.ids]
    originals = tiles_of([scene.original for scene in scenes])
    reference = descriptors(originals, ids, QUICK)
    rows: dict[int, dict[str, Any]] = {}
    closeness = []
    for (ending, size), pictures in restored.items():
        tiles = tiles_of(pictures)
        pairs = list(zip(tiles, originals, strict=True))
        closeness.append([psnr(one, other) for one, other in pairs])
        start: dict[str, Any] = {"size": size, "edge_px": size * tile_px, "tiles": len(ids)}
        row = rows.setdefault(size, start)
        row[f"ssim{ending}"] = float(np.mean([ssim(one, other) for one, other in pairs]))
        distances = sliced_distances(reference, descriptors(tiles, ids, QUICK), QUICK)
        row[f"swd{ending}"] = float(np.mean(distances))
    means, left_out = finite_means(np.array(closeness))
    for (ending, size), mean in zip(restored, means, strict=True):
        rows[size][f"psnr{ending}"] = float(mean)
    table = pd.DataFrame(list(rows.values()))
    for ending in ("", "_estimate"):
        table[f"gain{ending}"] = table[f"psnr{ending}"] - table["psnr_bicubic"]
    figures = [f"{name}{ending}" for name in ("psnr", "gain", "ssim", "swd") for ending in ENDINGS]
    columns = ["size", "edge_px", "tiles", *(name for name in figures if name != "gain_bicubic")]
    return table[columns], left_out


def _draw(
    trial: Trial,
    scene: Scene,
    subjects: Subjects,
    restored: dict[tuple[str, int], list[np.ndarray]],
) -> tuple[bytes, str]:
    """Return a PNG of the first picture in windows of one tile, whole, and its original."""
    scale, edge = trial.test.scale, subjects.edge
    shown = {"input": scene.low.repeat(scale, axis=0).repeat(scale, axis=1)}
    shown |= {f"in windows of {one}": restored["", one][0] for one in sorted({1, edge})}
    shown["original"] = scene.original
    pairs = zip(trial.test.entropy_names, scene.entropies, strict=True)
    applied = ", ".join(f"{name} {value:.2f}" for name, value in pairs) or "nothing"
    caption = (
        f"{edge} x {edge} neighbouring test tiles ({scene.source}) as one picture, degraded as one "
        f"({applied}) and restored in {trial.params.grid_steps} steps of {SAMPLER}: in windows of "
        f"one tile, as the model was trained, and whole."
    )
    size = scene.original.shape[0]
    if size > PANEL_PX:
        caption += f" The middle {PANEL_PX} of {size} pixels are shown."
        begin = (size - PANEL_PX) // 2
        inner = slice(begin, begin + PANEL_PX)
        shown = {name: picture[inner, inner] for name, picture in shown.items()}
    return draw_grid([list(shown.values())], [""], list(shown)), caption
