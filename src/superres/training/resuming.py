"""A training's state: all that its next step follows from, and how it is taken up again.

Tensors are whole, whatever the number of processes: a training may be continued with another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from superres.core.distributed import part
from superres.training.checkpoint import Row, State
from superres.training.trainer import Trainer

MOMENTS = ("exp_avg", "exp_avg_sq")


def state_of(trainer: Trainer, log: list[Row]) -> State:
    """Return a training's state; every process must ask."""
    parts = {f"weights/{name}": part(weight) for name, weight in trainer.weights.items()}
    parts |= {f"averages/{name}": value for name, value in trainer.averages.tensors().items()}
    tensors = {}
    for name, weight in trainer.weights.items():
        moments = trainer.optimizer.adam.state[weight]
        tensors[f"optimizer/step/{name}"] = moments["step"]
        parts |= {f"optimizer/{key}/{name}": part(moments[key]) for key in MOMENTS}
    tensors |= trainer.whole(parts)
    tensors |= {f"timesteps/{key}": value for key, value in trainer.timesteps.state().items()}
    tensors |= {f"window/{key}": value for key, value in trainer.window.state().items()}
    facts = {
        "terms": trainer.window.names,
        "recent": trainer.health.remembered(),
        "skipped": trainer.skipped,
        "scaler": trainer.optimizer.scaler.state_dict(),
    }
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return State(trainer.step, contiguous, log, facts)


@torch.no_grad()
def resume(trainer: Trainer, state: State) -> None:
    """Continue from a state, whatever the number of processes that left it."""
    trainer.skipped = state.facts["skipped"]
    trainer.health.resume(state.facts["recent"])
    trainer.optimizer.scaler.load_state_dict(state.facts["scaler"])
    trainer.timesteps.resume(_under("timesteps", state.tensors))
    trainer.window.resume(state.facts["terms"], _under("window", state.tensors))
    trainer.averages.resume(trainer.parted(_under("averages", state.tensors)))
    trainer.assign(trainer.parted(_under("weights", state.tensors)))
    moments = {key: trainer.parted(_under(f"optimizer/{key}", state.tensors)) for key in MOMENTS}
    for name, weight in trainer.weights.items():
        entry: dict[str, Any] = trainer.optimizer.adam.state[weight]
        entry["step"] = state.tensors[f"optimizer/step/{name}"].to(trainer.device, copy=True)
        for key in MOMENTS:
            # Layout matters to the last bit: the kernels sum in memory order.
            entry[key] = torch.zeros_like(weight)
            part(entry[key]).copy_(moments[key][name])
    trainer.continue_at(state.step)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, without it."""
    start = f"{prefix}/"
    return {
        name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
    }
