"""What a training says: wording alone, from plain values; nothing here changes a result.

The train stage does not depend on this file (`.dvcignore`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FILES_NAMED = 8
"""Of those that have changed, before the others are counted."""
KEPT = "the last good state is kept"
SAVERS = (
    "train.activation_checkpointing: true and train.precision: bf16 save memory too; what was "
    "trained so far is kept"
)


def going_on(step: int, changed: Sequence[str]) -> str:
    """Say after which step training goes on, and which source files have changed since."""
    line = f"going on from step {step}"
    if not changed:
        return line
    names = ", ".join(f"src/superres/{name}" for name in changed[:FILES_NAMED])
    others = len(changed) - FILES_NAMED
    more = f" and {others} more" if others > 0 else ""
    return f"{line}; code has changed since: {names}{more}"


def starting_afresh(others: int, root: Path, size_bytes: int) -> str:
    """Say that nothing can go on, and what room unfinished trainings of other kinds take."""
    return (
        f"starting afresh; {others} unfinished training(s) of other params, data or training "
        f"format stay in {root} ({size_bytes / 2**20:.1f} MiB); delete them there if none of them "
        "shall go on"
    )


def expected(seconds: float, steps: int, per_step: float) -> str:
    """Say how long the rest of a training will take, from its first steps."""
    if seconds < 90:
        length = f"{seconds:.0f} seconds"
    elif seconds < 2 * 3600:
        length = f"{seconds / 60:.0f} minutes"
    else:
        length = f"{seconds / 3600:.1f} hours"
    return (
        f"about {length} to go: {steps} steps of {per_step:.3g} s, more where other work shares "
        "the machine"
    )


def memory(needed: int, card: int, fits: bool, tiles: int) -> str:
    """Say what a training is expected to hold on its device, and what the device has, in bytes."""
    line = (
        f"expects to need {needed / 2**30:.1f} GiB with {tiles} tiles in a pass; the card has "
        f"{card / 2**30:.1f} GiB"
    )
    return line if fits else f"{line}, which may not do: raise train.micro_batches; {SAVERS}"


def stopped(step: int) -> str:
    """Say that a signal has ended the run."""
    return f"stopped at step {step}; run again to go on"


def skipped(step: int, what: str, tiles: str) -> str:
    """Say that a step was left out."""
    return f"skipped step {step}: {what}; worst tiles: {tiles}"


def too_many_skipped(count: int, limit: int, about: str) -> str:
    """Say that skipping has become the rule; `about` is the last step's `bad_step`."""
    return f"{count} steps skipped, more than train.bad_loss.limit {limit} allows: {about}"


def bad_step(
    step: int, what: str, measured: tuple[float, float], tiles: str, kept: str, skippable: bool
) -> str:
    """Say what was wrong with a step, what is left, and what may help.

    Args:
        step: its number, from 1.
        what: is wrong.
        measured: its learning rate and the norm of its gradients.
        tiles: the worst of its batch.
        kept: `last_good_state` or `no_state_yet`.
        skippable: whether such steps could be skipped, but are not.
    """
    rate, norm = measured
    mend = "lower train.learning_rate.peak or train.clip_norm"
    if skippable:
        mend += ", or set train.bad_loss.action: skip"
    return (
        f"{what} at step {step} (learning rate {rate:.3g}, gradient norm {norm:.3g}); "
        f"worst tiles: {tiles}; {kept}; {mend}"
    )


def last_good_state(step: int | None, folder: Path) -> str:
    """Say which state is kept, if there is one."""
    if step is None:
        return "there is no earlier state yet"
    return f"the last good state, step {step}, is kept in {folder}"


def loss_not_finite(loss: float) -> str:
    """Say that a loss is NaN or infinite."""
    return f"the loss is {loss:.4g}"


def exploded(name: str, value: float, usual: float) -> str:
    """Say that a loss or a gradient norm is far above its median."""
    return f"the {name} has exploded to {value:.4g} from a median of {usual:.4g}"


def validation_loss_not_finite(loss: float, step: int) -> str:
    """Say that a checkpoint cannot be used."""
    return f"the validation loss is {loss} at step {step}; lower train.learning_rate.peak; {KEPT}"


def damaged(folder: Path, error: Exception) -> str:
    """Say that a state cannot be read."""
    return f"{folder} is damaged ({error}); starting afresh"


def not_writable(folder: Path, error: Exception) -> str:
    """Say that nothing can be written into a folder."""
    return f"{folder}: cannot be written: {error}; {KEPT}"


def out_of_memory(device: object, tiles: int, fitting: tuple[int, int] | None, more: bool) -> str:
    """Say that a step did not fit, and what would.

    Args:
        device: where.
        tiles: in a pass.
        fitting: micro-batches, and tiles in a pass, that were tried and fit.
        more: whether more micro-batches may help, where none were tried.
    """
    if fitting:
        advice = f"train.micro_batches: {fitting[0]} ({fitting[1]} in a pass) fits"
    elif more:
        advice = "raise train.micro_batches"
    else:
        advice = "lower data.tile_size or model.channels"
    return f"out of memory on {device} with {tiles} tiles in a pass; {advice}; {SAVERS}"


def out_of_memory_elsewhere(error: Exception) -> str:
    """Say that something other than a step did not fit."""
    return (
        f"out of memory outside of the steps: {str(error).splitlines()[0]}; lower "
        f"model.channels or data.tile_size, or keep fewer averages (train.averaging.power); "
        f"{SAVERS}"
    )


def tensorboard_missing(variable: str) -> str:
    """Say that TensorBoard was asked for but is not there."""
    return f"{variable}: TensorBoard is not installed; pip install tensorboard"


def muon_not_sharded(variable: str) -> str:
    """Say that two choices exclude each other."""
    return f"train.muon.rate: must be 0 with {variable}: Muon needs whole weights"


def fp16_not_sharded(variable: str) -> str:
    """Say that two choices exclude each other."""
    return (
        f"train.precision: fp16 scales losses, which {variable} does not support; use bf16 or fp32"
    )
