"""Grids of fixed val tiles, to see what a training is about to become.

Nothing here changes a trained model: the train stage does not depend on this file (`.dvcignore`).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from superres.core.distributed import on_first
from superres.core.images import encode_png
from superres.core.picture_grid import lay_out
from superres.core.storage import replacing_folder, write_bytes
from superres.core.tensors import to_pictures
from superres.model.folder import SuperResolver
from superres.training.data import TrainingBatch
from superres.training.objectives import portions
from superres.training.trainer import Trainer

GAP = 4


def show_preview(trainer: Trainer, drawn: Path, previews: Path) -> None:
    """Draw the grid of the step, and publish all that this training has drawn.

    Args:
        trainer: its weights are those that are shown.
        drawn: the training's own folder of grids.
        previews: where they are published.
    """
    tiles = first_tiles(trainer.validation, trainer.params.previews.tiles)
    grid = preview(trainer.model, tiles, trainer.tiles_at_once)

    def write() -> None:
        write_bytes(drawn / f"step-{trainer.step:08d}.png", encode_png(grid))
        publish_previews(drawn, previews)

    on_first(trainer.processes, write)


def publish_previews(drawn: Path, previews: Path) -> None:
    """Put copies of all drawn grids in the place of those of an earlier training."""
    with replacing_folder(previews) as new:
        for picture in sorted(drawn.glob("*.png")):
            shutil.copy(picture, new)


@torch.no_grad()
def preview(model: SuperResolver, tiles: TrainingBatch, at_once: int) -> np.ndarray:
    """Return a grid with a row per tile: input, enlarged; what the model makes of it; original.

    The model's picture is its x0 at the noisiest timestep: one evaluation, the mean of what it
    takes to be possible.

    Args:
        model: the model.
        tiles: with their noise.
        at_once: how many of them the network gets at most.

    Returns:
        uint8, H x W x 3.
    """
    parts = (
        TrainingBatch(*(x[some] for x in tiles)) for some in portions(len(tiles.high), at_once)
    )
    columns = [
        F.interpolate(tiles.low, size=tiles.high.shape[-2:], mode="nearest"),
        torch.cat([_estimated(model, part) for part in parts]),
        tiles.high,
    ]
    return lay_out(list(zip(*map(to_pictures, columns), strict=True)), GAP)


def _estimated(model: SuperResolver, tiles: TrainingBatch) -> Tensor:
    return model.condition(tiles.low, tiles.entropy).estimate(lambda: tiles.noise)


def first_tiles(tiles: TrainingBatch, count: int) -> TrainingBatch:
    """Return the batch with at most `count` tiles, spread over it."""
    here = np.unique(np.linspace(0, len(tiles.high) - 1, min(count, len(tiles.high))).astype(int))
    index: Tensor = torch.from_numpy(here)
    return TrainingBatch(*(tensor[index.to(tensor.device)] for tensor in tiles))
