"""Previews while a training runs, and at its end its results in their place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from superres.core.distributed import on_first
from superres.core.images import encode_png
from superres.core.storage import replacing_folder, write_bytes
from superres.training.checkpoint import Progress, Row
from superres.training.previews import first_tiles, preview
from superres.training.trainer import Trainer


def show_preview(trainer: Trainer, progress: Progress, previews: Path) -> None:
    """Draw the preview and publish all that this training has drawn."""
    name = f"step-{trainer.step:08d}.png"
    tiles = first_tiles(trainer.validation, trainer.params.previews.tiles)
    grid = preview(trainer.model, tiles, trainer.tiles_at_once)

    def write() -> None:
        write_bytes(progress.folder / "previews" / name, encode_png(grid))
        _publish_previews(progress, previews)

    on_first(trainer.processes, write)


def deliver(progress: Progress, log: list[Row], out: Path, previews: Path) -> None:
    """Put checkpoints and previews in their place, then forget the progress."""
    _publish_previews(progress, previews)
    with replacing_folder(out) as new:
        for row in log:
            if "val_loss" in row:
                folder = progress.checkpoint(int(row["step"] or 0))
                # Linked, not moved: progress must stay complete until the results are there.
                shutil.copytree(folder, new / folder.name, copy_function=_link)
    progress.discard()


def _publish_previews(progress: Progress, previews: Path) -> None:
    with replacing_folder(previews) as new:
        for picture in sorted((progress.folder / "previews").glob("*.png")):
            shutil.copy(picture, new)


def _link(source: str, target: str) -> None:
    """Give a file a second name, or copy it where the file system knows no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
