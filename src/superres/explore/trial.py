"""A model with the test tiles it is tried on, and restoring them in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from superres.core.distributed import Processes
from superres.core.tensors import to_pictures
from superres.data.tile_grid import sharpness
from superres.degradation.dataset import PairSet
from superres.explore.config import ExploreParams
from superres.model.folder import is_model, load_model
from superres.model.resolver import SuperResolver
from superres.sampling.batch import Batch, Sampling
from superres.sampling.samplers import evaluations
from superres.sampling.spacing import check_steps

SAMPLER = "ddpm"
"""What everything but the curves is sampled with."""

Advance = Callable[[int], object]
"""Called with the number of network evaluations of single tiles that have just been made."""


class Trial:
    """A model, the test tiles it is tried on, and how.

    Attributes:
        items: positions of test tiles spread evenly from the sharpest to the dullest, rising.
        shown: position of the tile that the grids show: of those whose entropies are near the
            middle, so that conditioning on less and on more can both be seen, the one whose input
            has most detail left.

        student: the model that samples in few evaluations, if there is one.

    Args:
        params: what to try.
        model_folder: the model.
        tiles: folder of tiles.
        pairs: folder of pairs.
        processes: this one among its peers. Batches are dealt out to them; what is restored, all
            of them have.
        student_folder: of a student of the model, if it is a model folder.

    Raises:
        SuperresError: a model that does not fit the pairs, or more steps than it was trained on.
    """

    def __init__(
        self,
        params: ExploreParams,
        model_folder: str | Path,
        tiles: str | Path,
        pairs: str | Path,
        processes: Processes,
        student_folder: str | Path | None = None,
    ) -> None:
        self.params = params
        self.model = load_model(model_folder, processes.device)
        self._processes = processes
        self.test = PairSet(tiles, pairs, "test")
        self.model.check_pairs(self.test.scale, self.test.entropy_names, model_folder)
        self.student: SuperResolver | None = None
        if student_folder is not None and is_model(student_folder):
            self.student = load_model(student_folder, self.model.device)
            self.student.check_pairs(self.test.scale, self.test.entropy_names, student_folder)
        self._check_steps()
        rows = self.test.rows.sort_values(["sharpness", "id"], ascending=[False, True])
        order = rows.index.to_numpy()
        places = np.linspace(0, len(order) - 1, min(params.tiles, len(order)))
        self.items = np.sort(order[places.round().astype(int)])
        near = near_middle(self.test.entropies(np.arange(len(order))))
        middle = np.flatnonzero(near).tolist()
        self.shown = max(middle, key=lambda item: sharpness(self.test.low([item])[0]))
        self.tile_px = int(self.test.high([0]).shape[1])

    def ids(self, items: Sequence[int] | np.ndarray) -> list[str]:
        """Return the names of test pairs by position."""
        return self.test.ids(items)

    def entropies_of(self, item: int) -> str:
        """Return what was truly applied to a test tile, in words."""
        values = zip(self.test.entropy_names, self.test.entropies([item])[0], strict=True)
        return ", ".join(f"{name} {value:.2f}" for name, value in values) or "nothing"

    def restore(
        self,
        low: np.ndarray,
        entropies: np.ndarray,
        ids: Sequence[str],
        how: Sampling,
        advance: Advance,
        model: SuperResolver | None = None,
    ) -> np.ndarray:
        """Return a sample of each input.

        Args:
            low: uint8, N x h x w x 3: tiles or larger.
            entropies: what the model is conditioned on, N x K.
            ids: an identity per input; equal ones get equal noise.
            how: sampler, spacing, steps.
            advance: called with the number of evaluations made.
            model: that restores; by default the one that is tried.

        Returns:
            uint8, N x H x W x 3.
        """
        each = evaluations(how.sampler, how.steps)

        def restored(some: slice, tiles: int) -> np.ndarray:
            def watch(done: int, *_: object) -> None:
                before = evaluations(how.sampler, done - 1)
                advance(tiles * (evaluations(how.sampler, done) - before))

            given = low[some], entropies[some], ids[some]
            batch = Batch(model or self.model, *given, self.params.seed)
            return to_pictures(batch.sample(how, watch=watch))

        return self._in_batches(low, restored, lambda tiles: advance(tiles * each))

    def estimate(
        self, low: np.ndarray, entropies: np.ndarray, ids: Sequence[str], advance: Advance
    ) -> np.ndarray:
        """Return the posterior's mean for each input, of one evaluation; see `restore`."""

        def estimated(some: slice, tiles: int) -> np.ndarray:
            batch = Batch(self.model, low[some], entropies[some], ids[some], self.params.seed)
            pictures = to_pictures(batch.estimate())
            advance(tiles)
            return pictures

        return self._in_batches(low, estimated, advance)

    def _in_batches(
        self, low: np.ndarray, restore: Callable[[slice, int], np.ndarray], advance: Advance
    ) -> np.ndarray:
        """Restore batches of about the same area, each in one of the processes; return them all.

        Args:
            low: inputs, N x h x w x 3.
            restore: given which inputs, and their area in tiles; says itself how it advances.
            advance: called with the area of each batch that another process has restored.
        """
        area = (low.shape[1] * self.test.scale // self.tile_px) ** 2
        size = max(1, self.params.batch // area)
        pieces = [slice(at, min(at + size, len(low))) for at in range(0, len(low), size)]
        areas = [area * (some.stop - some.start) for some in pieces]
        deal = self._processes.deal
        mine = map(restore, deal(pieces), deal(areas))
        restored, own = [], deal(pieces)
        for (some, tiles), pictures in self._processes.in_order(
            list(zip(pieces, areas, strict=True)), mine, to_all=True
        ):
            restored.append(pictures)
            if some not in own:
                advance(tiles)
        return np.concatenate(restored)

    def _check_steps(self) -> None:
        steps = {"grid_steps": self.params.grid_steps}
        steps |= {
            f"curves.{number}.steps": max(curve.steps)
            for number, curve in enumerate(self.params.curves)
        }
        for key, value in steps.items():
            check_steps(f"params.yaml: explore.{key}", value, self.model.diffusion)


def near_middle(entropies: np.ndarray) -> np.ndarray:
    """Return which rows of entropies (N x K) lie within 0.25 of the middle, or are the nearest."""
    distances = np.abs(entropies - 0.5).max(axis=1, initial=0.0).clip(min=0.25)
    return np.asarray(distances == distances.min())


def finite_means(figures: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the mean of each row of figures over the tiles where all rows have a finite one.

    A tile that is restored exactly has an infinite PSNR, which would make a mean infinite; left
    out of every row alike, the means stay comparable.

    Args:
        figures: rows x tiles.

    Returns:
        A mean per row, not a number where no tile is left; then the number of tiles left out.
    """
    finite = np.isfinite(figures).all(axis=0)
    if not finite.any():
        return np.full(len(figures), np.nan), len(finite)
    return figures[:, finite].mean(axis=1), int((~finite).sum())


def left_out_note(table: str, left_out: int, tiles: int) -> list[str]:
    """Return a note on tiles that `finite_means` left out, if it did."""
    if not left_out:
        return []
    return [
        f"PSNR in {table} is the mean of {tiles - left_out} of {tiles} tiles: the other "
        f"{left_out} were once restored exactly, where it is infinite."
    ]
