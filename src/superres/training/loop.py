"""The training loop: steps, rows, checkpoints, and going on where it was stopped.

A step is a function of the state and the step's number: stopped at any moment and started again,
training ends in the same weights.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from superres.core.distributed import Processes, connected, entered_by_first, on_first
from superres.core.errors import SuperresError
from superres.core.params import NOISE
from superres.core.precision import remark
from superres.diffusion.config import DiffusionParams
from superres.networks.config import ModelParams
from superres.training import messages
from superres.training.checkpoint import Progress, training_name, writing
from superres.training.config import TrainParams
from superres.training.memory import memory_expected, network_that_fits, step_that_fits
from superres.training.monitor import Fault, Monitor, Row, StopRequests
from superres.training.optimizer import learning_rate
from superres.training.previews import publish_previews, show_preview
from superres.training.trainer import Trainer


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

    Unfinished work of the same params, data and `TRAINING_FORMAT` is continued, by any number of
    processes.

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
    with connected() as processes, network_that_fits():
        # ---- set up: everything from params and data, or from where it was stopped
        read = [tiles, pairs, *([] if params.start_from == NOISE else [params.start_from])]
        name = training_name([model, diffusion, params], read)
        progress = Progress(out.parent / ".progress", name)
        setup = partial(Trainer, model, diffusion, params, tiles, pairs, processes)

        def publish(log: list[Row]) -> None:
            publish_previews(progress.previews, previews)
            progress.publish(log, out)

        with entered_by_first(processes, progress.locked()):
            return trained(setup, progress, publish, log_file, previews)


def trained(
    setup: Callable[[], Trainer],
    progress: Progress,
    publish: Callable[[list[Row]], object],
    log_file: Path,
    previews: Path | None = None,
) -> dict[str, Any]:
    """Train what `setup` makes to its end, and let go of the network when it is done.

    Args:
        setup: makes the training.
        progress: its unfinished work, locked.
        publish: called with the whole log when all is done, by the first process.
        log_file: see `train`.
        previews: likewise; none where `train.previews` asks for none.

    Returns:
        Facts for the timing table.

    Raises:
        SuperresError: as `train`.
    """
    trainer = setup()
    log = _begin(trainer, progress)
    if trainer.device.type == "cuda" and trainer.processes.writes:
        card = torch.cuda.get_device_properties(trainer.device).total_memory
        _print_once(trainer.processes, memory_expected(trainer, card))
    if about := remark("train.precision", trainer.params.precision, trainer.device):
        _print_once(trainer.processes, about)
    monitor = Monitor(log_file, trainer.params, trainer.step, trainer.processes)
    # ---- train
    with StopRequests() as stop, monitor:
        _run(trainer, progress, log, monitor, stop, previews)
    # ---- publish
    with writing(log_file.parent):
        monitor.write(log)
        on_first(trainer.processes, partial(publish, log))
    return monitor.facts(trainer.loader.waited)


def _begin(trainer: Trainer, progress: Progress) -> list[Row]:
    """Take up unfinished work, or say that there is none of this kind; return its log."""
    state = progress.load()
    if state is not None:
        trainer.resume(state)
        _print_once(trainer.processes, messages.going_on(state.step, progress.changed_code()))
        return list(state.log)
    if others := progress.others():
        about = messages.starting_afresh(len(others), progress.root, progress.size_of_others())
        _print_once(trainer.processes, about)
    return []


def _run(
    trainer: Trainer,
    progress: Progress,
    log: list[Row],
    monitor: Monitor,
    stop: StopRequests,
    previews: Path | None,
) -> None:
    """Train to the last step, or to where it is asked to stop (SystemExit)."""
    params, processes = trainer.params, trainer.processes
    while trainer.step < params.steps:
        # ---- one step
        with step_that_fits(trainer):
            skipped = trainer.advance()
        monitor.advance()
        if skipped:
            _skip(trainer, skipped, progress)

        # ---- what is due after it
        last = trainer.step == params.steps
        checkpoint = last or trainer.step % params.checkpoint_every == 0
        row = checkpoint or trainer.step % params.log_every == 0 or trainer.step == 1
        shown = params.previews.every and (last or trainer.step % params.previews.every == 0)
        stopped = processes.largest(stop.asked)

        # ---- nothing of a step that went wrong is kept
        if (checkpoint or row or stopped) and (fault := trainer.check()):
            raise SuperresError(_described(trainer, fault, progress))
        if row:
            log.append(_row(trainer))
        if checkpoint:
            with trainer.averaged():
                log[-1]["val_loss"] = _validation_loss(trainer)

        # ---- write: the state last, since going on from it needs all the others
        with writing(progress.folder):
            if checkpoint:
                trainer.save_checkpoint(progress.checkpoint(trainer.step))
            if shown and previews is not None:
                with trainer.averaged():
                    show_preview(trainer, progress.previews, previews)
            if row:
                monitor.show(log)
            if checkpoint or stopped:
                on_first(processes, partial(progress.save, trainer.state(log)))

        # ---- stop, if a signal asked for it
        if stopped and not last:
            monitor.write(log)
            _print_once(processes, messages.stopped(trainer.step))
            raise SystemExit(128 + stopped)


def _row(trainer: Trainer) -> Row:
    params = trainer.params
    return {
        "step": trainer.step,
        **trainer.window.row(),
        "learning_rate": learning_rate(trainer.step - 1, params.steps, params.learning_rate),
        "skipped": trainer.skipped,
    }


def _validation_loss(trainer: Trainer) -> float:
    """Return the validation loss of the weights as they are.

    Raises:
        SuperresError: it is no number.
    """
    loss = trainer.validation_loss()
    if not math.isfinite(loss):
        raise SuperresError(messages.validation_loss_not_finite(loss, trainer.step))
    return loss


def _skip(trainer: Trainer, fault: Fault, progress: Progress) -> None:
    """Say that a step was skipped, or stop where that has become the rule.

    Raises:
        SuperresError: more steps skipped than `train.bad_loss.limit`.
    """
    limit = trainer.params.bad_loss.limit
    if trainer.skipped > limit:
        about = _described(trainer, fault, progress)
        raise SuperresError(messages.too_many_skipped(trainer.skipped, limit, about))
    _print_once(trainer.processes, messages.skipped(fault.step, fault.what, fault.tiles))


def _described(trainer: Trainer, fault: Fault, progress: Progress) -> str:
    """Return one line about a step that went wrong, what is left, and what may help."""
    params = trainer.params
    rate = learning_rate(fault.step - 1, params.steps, params.learning_rate)
    return messages.bad_step(
        fault.step,
        fault.what,
        (rate, fault.norm),
        fault.tiles,
        messages.last_good_state(progress.last_step(), progress.folder),
        skippable=params.bad_loss.action == "stop",
    )


def _print_once(processes: Processes, text: str) -> None:
    """Write a line to standard error, once for all processes."""
    if processes.writes:
        print(f"train: {text}", file=sys.stderr)
