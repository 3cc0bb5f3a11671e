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
    return _grid([to_pictures(column) for column in columns])


def _estimated(model: SuperResolver, tiles: TrainingBatch) -> Tensor:
    last = torch.full((len(tiles.high),), model.diffusion.timesteps - 1, device=model.device)
    denoiser = model.denoiser(tiles.low, tiles.entropy)
    clip = model.clip(tiles.low)
    x0 = model.diffusion.p_mean_variance(denoiser, tiles.noise, last, clip).x0
    return model.decode(x0, tiles.low)


def first_tiles(tiles: TrainingBatch, count: int) -> TrainingBatch:
    """Return the batch with at most `count` tiles, spread over it."""
    here = np.unique(np.linspace(0, len(tiles.high) - 1, min(count, len(tiles.high))).astype(int))
    index: Tensor = torch.from_numpy(here)
    return TrainingBatch(*(tensor[index.to(tensor.device)] for tensor in tiles))


def _grid(columns: list[np.ndarray]) -> np.ndarray:
    """Return pictures in columns, white between them; each column is (N, H, W, 3)."""
    count, height, width, _ = columns[0].shape
    rows, across = count * (height + GAP) - GAP, len(columns) * (width + GAP) - GAP
    sheet = np.full((rows, across, 3), 255, np.uint8)
    for column, pictures in enumerate(columns):
        for row, picture in enumerate(pictures):
            top, left = row * (height + GAP), column * (width + GAP)
            sheet[top : top + height, left : left + width] = picture
    return sheet
