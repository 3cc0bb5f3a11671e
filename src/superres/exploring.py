"""Trying a model on a few test tiles: the strengths it is told, its samples, numbers of steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from superres.data.dataset import PairSet
from superres.device import pick_device
from superres.evaluation.distribution import QUICK, descriptors, sliced_distances
from superres.evaluation.fidelity import psnr, ssim
from superres.inference import Batch, Sampling
from superres.model_folder import load_model
from superres.params.explore import ExploreParams
from superres.pixels import to_pictures
from superres.progress import progress_bar
from superres.reporting.grids import draw_grid
from superres.storage import replacing_folder, write_bytes, write_csv, write_json

SAMPLER = "ddpm"


class Explorer:
    """A model, the test tiles it is tried on, and how.

    Args:
        params: what to try.
        model_folder: the model.
        tiles: folder of tiles.
        pairs: folder of pairs.

    Raises:
        SuperresError: a model that does not fit the pairs.
    """

    def __init__(
        self, params: ExploreParams, model_folder: str | Path, tiles: str | Path, pairs: str | Path
    ) -> None:
        self.params = params
        self.model = load_model(model_folder, pick_device())
        self.test = PairSet(tiles, pairs, "test")
        self.model.check_pairs(self.test.scale, self.test.entropy_names, model_folder)
        order = self.test.rows.sort_values(["sharpness", "id"], ascending=[False, True]).index
        self.items = np.sort(order[: params.tiles].to_numpy())
        self.sharpest = int(order[0])

    def evaluations(self) -> int:
        """Return the number of network evaluations of single tiles that everything takes."""
        params = self.params
        grid = len(params.strengths) ** min(2, len(self.test.entropy_names))
        curve = sum(params.steps) * len(self.items)
        return curve + (grid + params.samples) * params.grid_steps

    def step_curve(self, bar: tqdm) -> pd.DataFrame:
        """Return PSNR (dB), SSIM and SWD (8-bit levels) by number of sampling steps."""
        originals = self.test.high(self.items)
        ids = list(self.test.rows["id"].iloc[self.items])
        reference = descriptors(originals, ids, QUICK)
        rows = []
        for steps in sorted(set(self.params.steps)):
            told = self.test.entropies(self.items)
            restored = self._sample(self.items, told, steps, bar)
            pairs = list(zip(restored, originals, strict=True))
            distances = sliced_distances(reference, descriptors(restored, ids, QUICK), QUICK)
            rows.append(
                {
                    "steps": steps,
                    "psnr": np.mean([psnr(one, other) for one, other in pairs]),
                    "ssim": np.mean([ssim(one, other) for one, other in pairs]),
                    "swd": np.mean(distances),
                }
            )
        return pd.DataFrame(rows)

    def strength_grid(self, bar: tqdm) -> bytes:
        """Return a PNG of the sharpest tile restored as if corrupted by each pair of strengths.

        Rows tell the model the first entropy, columns the second; the others keep what was truly
        applied, and the noise is the same everywhere.
        """
        strengths, names = self.params.strengths, self.test.entropy_names
        down = strengths if len(names) > 0 else [0.0]
        across = strengths if len(names) > 1 else [0.0]
        told = np.repeat(self.test.entropies([self.sharpest]), len(down) * len(across), axis=0)
        if len(names) > 0:
            told[:, 0] = np.repeat(down, len(across))
        if len(names) > 1:
            told[:, 1] = np.tile(across, len(down))
        items = np.full(len(told), self.sharpest)
        restored = self._sample(items, told, self.params.grid_steps, bar)
        return draw_grid(
            restored.reshape(len(down), len(across), *restored.shape[1:]),
            [f"{value:g}" for value in down] if names else [""],
            [f"{value:g}" for value in across] if len(names) > 1 else [""],
            f"{names[0]} told" if names else "",
            f"{names[1]} told" if len(names) > 1 else "",
        )

    def uncertainty(self, bar: tqdm) -> bytes:
        """Return a PNG of the sharpest tile: input, original, samples, mean and deviation."""
        count = self.params.samples
        items = np.full(count, self.sharpest)
        told = self.test.entropies(items)
        samples = self._sample(items, told, self.params.grid_steps, bar, distinct=True)
        deviation = samples.astype(np.float64).std(axis=0, ddof=1).mean(axis=2)
        low = self.test.low([self.sharpest])[0].repeat(self.test.scale, axis=0)
        shown = {
            "input": low.repeat(self.test.scale, axis=1),
            "sample 1": samples[0],
            "sample 2": samples[1],
            f"mean of {count}": samples.mean(axis=0).round().astype(np.uint8),
            f"deviation x8 (mean {deviation.mean():.1f})": (8 * deviation).clip(0, 255),
            "original": self.test.high([self.sharpest])[0],
        }
        return draw_grid([list(shown.values())], [""], list(shown))

    def _sample(
        self, items: np.ndarray, told: np.ndarray, steps: int, bar: tqdm, distinct: bool = False
    ) -> np.ndarray:
        """Return a sample per item, uint8; `distinct` gives equal items different noise."""
        restored = []
        for first in range(0, len(items), self.params.batch):
            some = items[first : first + self.params.batch]
            ids = list(self.test.rows["id"].iloc[some])
            if distinct:
                ids = [f"{name}/{first + index}" for index, name in enumerate(ids)]
            batch = Batch(
                self.model,
                self.test.low(some),
                told[first : first + len(some)],
                ids,
                self.params.seed,
            )
            count = len(some)
            how = Sampling(SAMPLER, steps)
            sample = batch.sample(how, watch=lambda *_, n=count: bar.update(n))
            restored.append(to_pictures(sample))
        return np.concatenate(restored)


def explore(
    params: ExploreParams,
    model_folder: str | Path,
    tiles: str | Path,
    pairs: str | Path,
    out: str | Path,
) -> dict[str, int]:
    """Write the step curve, the strength grid and the uncertainty map of a model to a folder.

    Returns:
        Facts for the timing table.

    Raises:
        SuperresError: a model that does not fit the pairs, or folders that are not there.
    """
    explorer = Explorer(params, model_folder, tiles, pairs)
    source = explorer.test.rows["source"].iloc[explorer.sharpest]
    steps = params.grid_steps
    with replacing_folder(out) as partial:
        with progress_bar(explorer.evaluations(), "explore", "step") as bar:
            write_csv(partial / "steps.csv", explorer.step_curve(bar))
            write_bytes(partial / "strengths.png", explorer.strength_grid(bar))
            write_bytes(partial / "uncertainty.png", explorer.uncertainty(bar))
        captions = {
            "strengths.png": f"The sharpest test tile ({source}) restored in {steps} steps of "
            f"{SAMPLER} at temperature 1, told other strengths than were applied; the noise is the "
            "same everywhere.",
            "uncertainty.png": f"{params.samples} samples of that tile, made alike: where they "
            "differ, the input leaves open what was there.",
        }
        write_json(partial / "explore.json", captions)
    return {"evaluations": explorer.evaluations()}
