"""The training loop: steps, rows, checkpoints, and going on where it was stopped.

A step is a function of the state and the step's number: stopped at any moment and started again,
training ends in the same weights.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from superres.errors import SuperresError
from superres.images import encode_png
from superres.params.diffusion import DiffusionParams
from superres.params.model import ModelParams
from superres.params.train import TrainParams
from superres.storage import replacing_folder, write_bytes, write_csv
from superres.training.checkpoints import Progress, Row, fingerprint, writing
from superres.training.memory import memory_advice
from superres.training.optimization import learning_rate
from superres.training.previews import first_tiles, preview
from superres.training.processes import Processes, connected, on_first
from superres.training.resuming import resume, state_of
from superres.training.stopping import StopRequests
from superres.training.trainer import Fault, Trainer
from superres.training.watching import Watching


def train(
    model: ModelParams,
    diffusion: DiffusionParams,
    params: TrainParams,
    tiles: str | Path,
    pairs: str | Path,
    out: Path,
    log_file: Path,
    previews: Path,
) -> dict[str, Any]:
    """Train, leaving a model folder per checkpoint in `out`.

    Unfinished work of the same params, data and code is continued, by however many processes.

    Args:
        model: the network.
        diffusion: the process.
        params: optimisation.
        tiles: folder of tiles.
        pairs: folder of pairs.
        out: gets `step-*` folders, complete or not at all.
        log_file: CSV with a row per `log_every` steps, written as they come.
        previews: folder of pictures, written as they come.

    Returns:
        Facts for the timing table.

    Raises:
        SuperresError: bad params or data, a loss that went wrong, no memory, nowhere to write.
    """
    with connected() as processes:
        # ---- set up: everything from params and data, or from where it was stopped
        trainer = Trainer(model, diffusion, params, tiles, pairs, processes)
        progress = Progress(
            out.parent / ".progress", fingerprint([model, diffusion, params], [tiles, pairs])
        )
        log = _begin(trainer, progress)
        watching = Watching(log_file, params, trainer.step, processes)
        # ---- train
        with StopRequests() as stop, watching:
            _run(trainer, progress, log, watching, stop, previews)
            watching.write(log)
        # ---- deliver
        on_first(processes, lambda: _deliver(progress, log, out, log_file, previews))
        return watching.facts(trainer.loader.waited)


def _begin(trainer: Trainer, progress: Progress) -> list[Row]:
    """Take up unfinished work, or say that there is none of this kind; return its log."""
    on_first(trainer.processes, progress.begin)
    state = progress.load()
    if state is not None:
        resume(trainer, state)
        _say(trainer.processes, f"going on from step {state.step}")
        return list(state.log)
    if others := progress.others():
        _say(
            trainer.processes,
            f"starting afresh; {len(others)} unfinished training(s) of other params, data or code "
            f"stay in {progress.root}",
        )
    return []


def _run(
    trainer: Trainer,
    progress: Progress,
    log: list[Row],
    watching: Watching,
    stop: StopRequests,
    previews: Path,
) -> None:
    params, processes = trainer.params, trainer.processes
    while trainer.step < params.steps:
        # ---- one step
        try:
            skipped = trainer.advance()
        except torch.OutOfMemoryError as error:
            raise SuperresError(memory_advice(trainer)) from error
        watching.moved()
        if skipped:
            _mind(trainer, skipped, progress)

        # ---- what is due after it
        last = trainer.step == params.steps
        checkpoint = last or trainer.step % params.checkpoint_every == 0
        row = checkpoint or trainer.step % params.log_every == 0 or trainer.step == 1
        shown = params.previews.every
        stopped = processes.largest(stop.asked)
        if (checkpoint or row or stopped) and (fault := trainer.check()):
            raise SuperresError(_told(trainer, fault, progress))
        if row:
            log.append(_row(trainer))
        with writing(progress.folder):
            if checkpoint:
                with trainer.averaged():
                    log[-1]["val_loss"] = _finite(trainer, trainer.validation_loss())
                trainer.save_checkpoint(progress.checkpoint(trainer.step))
            if shown and (last or trainer.step % shown == 0):
                with trainer.averaged():
                    _show(trainer, progress, previews)
            if row:
                watching.show(log)
            if checkpoint or stopped:
                state = state_of(trainer, log)
                on_first(processes, partial(progress.save, state))
        if stopped and not last:
            watching.write(log)
            _say(processes, f"stopped at step {trainer.step}; run again to go on")
            raise SystemExit(128 + stopped)


def _row(trainer: Trainer) -> Row:
    params = trainer.params
    return {
        "step": trainer.step,
        **trainer.window.row(),
        "learning_rate": learning_rate(trainer.step - 1, params.steps, params.learning_rate),
        "skipped": trainer.skipped,
    }


def _finite(trainer: Trainer, loss: float) -> float:
    if not math.isfinite(loss):
        raise SuperresError(
            f"the validation loss is {loss} at step {trainer.step}; lower "
            "train.learning_rate.peak; the last good state is kept"
        )
    return loss


def _mind(trainer: Trainer, fault: Fault, progress: Progress) -> None:
    """Say that a step was skipped, or stop where that has become the rule."""
    limit = trainer.params.bad_loss.limit
    if trainer.skipped > limit:
        raise SuperresError(
            f"{trainer.skipped} steps skipped, more than train.bad_loss.limit {limit} allows: "
            + _told(trainer, fault, progress)
        )
    _say(trainer.processes, f"skipped step {fault.step}: {fault.what}; worst tiles: {fault.tiles}")


def _told(trainer: Trainer, fault: Fault, progress: Progress) -> str:
    params = trainer.params
    rate = learning_rate(fault.step - 1, params.steps, params.learning_rate)
    kept = progress.load()
    good = (
        f"the last good state, step {kept.step}, is kept in {progress.folder}"
        if kept
        else ("there is no earlier state yet")
    )
    return (
        f"{fault.what} at step {fault.step} (learning rate {rate:.3g}, gradient norm "
        f"{fault.norm:.3g}); worst tiles: {fault.tiles}; {good}; lower train.learning_rate.peak or "
        "train.clip_norm, or set train.bad_loss.action: skip"
    )


def _show(trainer: Trainer, progress: Progress, previews: Path) -> None:
    """Draw the preview and publish all that this training has drawn."""
    name = f"step-{trainer.step:08d}.png"
    grid = preview(trainer.model, first_tiles(trainer.validation, trainer.params.previews.tiles))

    def write() -> None:
        write_bytes(progress.folder / "previews" / name, encode_png(grid))
        _publish_previews(progress, previews)

    on_first(trainer.processes, write)


def _publish_previews(progress: Progress, previews: Path) -> None:
    with replacing_folder(previews) as new:
        for picture in sorted((progress.folder / "previews").glob("*.png")):
            shutil.copy(picture, new)


def _deliver(progress: Progress, log: list[Row], out: Path, log_file: Path, previews: Path) -> None:
    """Put the results in their place, then forget the progress."""
    write_csv(log_file, pd.DataFrame(log))
    _publish_previews(progress, previews)
    with replacing_folder(out) as new:
        for row in log:
            if "val_loss" in row:
                folder = progress.checkpoint(int(row["step"] or 0))
                # Linked, not moved: progress must stay complete until the results are there.
                shutil.copytree(folder, new / folder.name, copy_function=os.link)
    progress.discard()


def _say(processes: Processes, text: str) -> None:
    if processes.writes:
        print(f"train: {text}", file=sys.stderr)
