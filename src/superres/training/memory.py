"""What to say when a step does not fit into the GPU's memory: measured, not guessed."""

from __future__ import annotations

import torch

from superres.training.trainer import Trainer


def memory_advice(trainer: Trainer) -> str:
    """Return which params to lower, with a number of micro-batches that was seen to fit.

    The gradients of the step that failed are gone afterwards.
    """
    params, processes = trainer.params, trainer.processes
    tiles = params.batch // (trainer.passes * processes.count)
    said = f"out of memory on {trainer.device} with {tiles} tiles in a pass"
    fitting = 0 if processes.sharded else _largest_fitting(trainer, tiles)
    if fitting:
        said += f"; train.micro_batches: {params.batch // fitting} ({fitting} in a pass) fits"
    elif processes.sharded or tiles > 1:
        said += "; raise train.micro_batches"
    else:
        said += "; lower data.tile_size or model.channels"
    return (
        f"{said}; train.activation_checkpointing: true and train.precision: bf16 save memory too; "
        "what was trained so far is kept"
    )


def _largest_fitting(trainer: Trainer, tiles: int) -> int:
    """Return the largest number of tiles, below one that failed, whose gradients fit; or 0."""
    batch = trainer.params.batch
    ballast = [] if trainer.optimizer.adam.state else list(trainer.weights.values()) * 2
    for size in range(tiles // 2, 0, -1):
        if batch % (size * trainer.processes.count):
            continue
        try:
            # The optimiser's two averages of the gradients, which only the first step makes.
            held = [torch.empty_like(weight) for weight in ballast]
            trainer.rehearse(size)
            del held
        except torch.OutOfMemoryError:
            if trainer.device.type == "cuda":
                torch.cuda.empty_cache()
        else:
            return size
    return 0
