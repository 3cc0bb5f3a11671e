"""What a training is expected to need of a GPU's memory; what fits where it does not suffice."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from superres.core.errors import SuperresError
from superres.training import messages
from superres.training.expected_memory import expected_memory
from superres.training.trainer import Trainer


def memory_expected(trainer: Trainer, card: int) -> str:
    """Return a line on what a training needs, counted, and what its device has.

    Args:
        trainer: before its first step.
        card: bytes of the device.
    """
    processes, tiles = trainer.processes, trainer.tiles_at_once
    shards = processes.count if processes.sharded else 1
    edge = trainer.validation.high.shape[-1]
    needed = expected_memory(trainer.spec, trainer.params, edge, tiles, trainer.passes, shards)
    return messages.memory(needed.total, card, needed.fits(card), tiles)


@contextmanager
def step_that_fits(trainer: Trainer) -> Iterator[None]:
    """Turn a step's lack of memory in a block into an error that says what would have fitted."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        release(error)
        raise SuperresError(memory_advice(trainer)) from error


@contextmanager
def network_that_fits() -> Iterator[None]:
    """Turn any other lack of memory in a block, in which no step was at work, into an error."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise SuperresError(messages.out_of_memory_elsewhere(error)) from error


def memory_advice(trainer: Trainer) -> str:
    """Return which params to lower, with a number of micro-batches that was seen to fit.

    The gradients of the step that failed are gone afterwards.
    """
    params, processes = trainer.params, trainer.processes
    tiles = trainer.tiles_at_once
    largest = 0 if processes.sharded else _largest_fitting(trainer, tiles)
    fitting = (params.batch // largest, largest) if largest else None
    more = processes.sharded or tiles > 1
    return messages.out_of_memory(trainer.device, tiles, fitting, more)


def release(error: BaseException) -> None:
    """Let go of what the functions that an error went through had in their variables.

    As long as an error is known, so are they: all activations of the step that did not fit.
    """
    traceback.clear_frames(error.__traceback__)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _largest_fitting(trainer: Trainer, tiles: int) -> int:
    """Return the largest number of tiles, below one that failed, whose gradients fit; or 0."""
    for size in range(tiles // 2, 0, -1):
        if trainer.params.batch % (size * trainer.processes.count) == 0 and _fits(trainer, size):
            return size
    return 0


def _fits(trainer: Trainer, tiles: int) -> bool:
    """Whether the first tiles of the training fit in one pass, with all that a step needs."""
    try:
        _rehearse(trainer, tiles)
    except torch.OutOfMemoryError as error:
        release(error)
        return False
    return True


def _rehearse(trainer: Trainer, tiles: int) -> None:
    """Compute the gradients of the first tiles of the training, as one pass would."""
    trainer.optimizer.begin(trainer.step)
    ballast = [torch.empty_like(weight) for weight in trainer.optimizer.unmade()]
    batch = trainer.batches.at(0, tiles, trainer.device)
    with trainer.processes.accumulating(trainer.model.network, last=False):
        t, _ = trainer.objective.timesteps.draw(batch.uniform)
        trainer.objective.terms(batch, t)["loss"].mean().backward()
    del ballast
