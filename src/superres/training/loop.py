"""The training loop: steps, rows, checkpoints, and going on where it was stopped.

A step is a function of the state and the step's number: stopped at any moment and started again,
training ends in the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from superres.core.distributed import connected, on_first, taken_by_first
from superres.core.errors import SuperresError
from superres.diffusion.config import DiffusionParams
from superres.networks.config import ModelParams
from superres.training.checkpoint import Progress, Row, fingerprint, writing
from superres.training.config import TrainParams
from superres.training.delivery import deliver, show_preview
from superres.training.memory import network_that_fits, step_that_fits
from superres.training.messages import finite, mind, say, told
from superres.training.monitor import Watching
from superres.training.optimizer import learning_rate
from superres.training.resuming import resume, state_of
from superres.training.stopping import StopRequests
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
    with connected() as processes, network_that_fits():
        # ---- set up: everything from params and data, or from where it was stopped
        progress = Progress(
            out.parent / ".progress", fingerprint([model, diffusion, params], [tiles, pairs])
        )
        setup = partial(Trainer, model, diffusion, params, tiles, pairs, processes)
        with taken_by_first(processes, progress.taken()):
            return _trained(setup, progress, out, log_file, previews)


def _trained(
    setup: Callable[[], Trainer], progress: Progress, out: Path, log_file: Path, previews: Path
) -> dict[str, Any]:
    """Do the work of `train`, and let go of the network when it is done."""
    trainer = setup()
    log = _begin(trainer, progress)
    watching = Watching(log_file, trainer.params, trainer.step, trainer.processes)
    # ---- train
    with StopRequests() as stop, watching:
        _run(trainer, progress, log, watching, stop, previews)
    # ---- deliver
    with writing(log_file.parent):
        watching.write(log)
        on_first(trainer.processes, lambda: deliver(progress, log, out, previews))
    return watching.facts(trainer.loader.waited)


def _begin(trainer: Trainer, progress: Progress) -> list[Row]:
    """Take up unfinished work, or say that there is none of this kind; return its log."""
    state = progress.load()
    if state is not None:
        resume(trainer, state)
        say(trainer.processes, f"going on from step {state.step}")
        return list(state.log)
    if others := progress.others():
        size = sum(file.stat().st_size for other in others for file in other.rglob("*"))
        say(
            trainer.processes,
            f"starting afresh; {len(others)} unfinished training(s) of other params, data or code "
            f"stay in {progress.root} ({size / 2**20:.1f} MiB); delete them there if none of them "
            "shall go on",
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
    """Train to the last step, or to where it is asked to stop (SystemExit)."""
    params, processes = trainer.params, trainer.processes
    while trainer.step < params.steps:
        # ---- one step
        with step_that_fits(trainer):
            skipped = trainer.advance()
        watching.moved()
        if skipped:
            mind(trainer, skipped, progress)

        # ---- what is due after it
        last = trainer.step == params.steps
        checkpoint = last or trainer.step % params.checkpoint_every == 0
        row = checkpoint or trainer.step % params.log_every == 0 or trainer.step == 1
        shown = params.previews.every and (last or trainer.step % params.previews.every == 0)
        stopped = processes.largest(stop.asked)

        # ---- nothing of a step that went wrong is kept
        if (checkpoint or row or stopped) and (fault := trainer.check()):
            raise SuperresError(told(trainer, fault, progress))
        if row:
            log.append(_row(trainer))
        if checkpoint:
            with trainer.averaged():
                log[-1]["val_loss"] = finite(trainer, trainer.validation_loss())

        # ---- write: the state last, since going on from it needs all the others
        with writing(progress.folder):
            if checkpoint:
                trainer.save_checkpoint(progress.checkpoint(trainer.step))
            if shown:
                with trainer.averaged():
                    show_preview(trainer, progress, previews)
            if row:
                watching.show(log)
            if checkpoint or stopped:
                on_first(processes, partial(progress.save, state_of(trainer, log)))

        # ---- stop, if a signal asked for it
        if stopped and not last:
            watching.write(log)
            say(processes, f"stopped at step {trainer.step}; run again to go on")
            raise SystemExit(128 + stopped)


def _row(trainer: Trainer) -> Row:
    params = trainer.params
    return {
        "step": trainer.step,
        **trainer.window.row(),
        "learning_rate": learning_rate(trainer.step - 1, params.steps, params.learning_rate),
        "skipped": trainer.skipped,
    }
