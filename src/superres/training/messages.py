"""What a training says on its way, above all when a step went wrong."""

from __future__ import annotations

import math
import sys

from superres.core.distributed import Processes
from superres.core.errors import SuperresError
from superres.training.checkpoint import Progress
from superres.training.health import Fault
from superres.training.optimizer import learning_rate
from superres.training.trainer import Trainer


def say(processes: Processes, text: str) -> None:
    """Write a line to standard error, once for all processes."""
    if processes.writes:
        print(f"train: {text}", file=sys.stderr)


def mind(trainer: Trainer, fault: Fault, progress: Progress) -> None:
    """Say that a step was skipped, or stop where that has become the rule.

    Raises:
        SuperresError: more steps skipped than `train.bad_loss.limit`.
    """
    limit = trainer.params.bad_loss.limit
    if trainer.skipped > limit:
        raise SuperresError(
            f"{trainer.skipped} steps skipped, more than train.bad_loss.limit {limit} allows: "
            + told(trainer, fault, progress)
        )
    say(trainer.processes, f"skipped step {fault.step}: {fault.what}; worst tiles: {fault.tiles}")


def told(trainer: Trainer, fault: Fault, progress: Progress) -> str:
    """Return one line about a step that went wrong, what is left, and what may help."""
    params = trainer.params
    rate = learning_rate(fault.step - 1, params.steps, params.learning_rate)
    kept = progress.last_step()
    good = (
        "there is no earlier state yet"
        if kept is None
        else f"the last good state, step {kept}, is kept in {progress.folder}"
    )
    mend = "lower train.learning_rate.peak or train.clip_norm"
    if params.bad_loss.action == "stop":
        mend += ", or set train.bad_loss.action: skip"
    return (
        f"{fault.what} at step {fault.step} (learning rate {rate:.3g}, gradient norm "
        f"{fault.norm:.3g}); worst tiles: {fault.tiles}; {good}; {mend}"
    )


def finite(trainer: Trainer, loss: float) -> float:
    """Return a validation loss that is a number.

    Raises:
        SuperresError: it is not.
    """
    if not math.isfinite(loss):
        raise SuperresError(
            f"the validation loss is {loss} at step {trainer.step}; lower "
            "train.learning_rate.peak; the last good state is kept"
        )
    return loss
