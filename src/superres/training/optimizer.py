"""Learning rate as a function of the step, and the optimiser with its arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler
from torch.optim import AdamW

from superres.core.distributed import local_part
from superres.training.config import LearningRateParams, TrainParams

MOMENTS = ("exp_avg", "exp_avg_sq")
"""Adam's averages of the gradients and of their squares."""


class Optimizer:
    """AdamW with clipping, and for fp16 with losses scaled so that small gradients survive.

    Args:
        weights: what is trained, by name.
        params: rates, clipping, precision.
        device: where the weights are.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], params: TrainParams, device: torch.device
    ) -> None:
        self._params = params
        self._device = device
        self._weights = dict(weights)
        self.adam = AdamW(
            list(self._weights.values()),
            lr=params.learning_rate.peak,
            betas=(params.betas[0], params.betas[1]),
            weight_decay=params.weight_decay,
            fused=True,
        )
        self.scaler = GradScaler(device.type, enabled=params.precision == "fp16")

    def begin(self, step: int) -> float:
        """Forget the gradients and set the learning rate of a step, counted from 0; return it."""
        rate = learning_rate(step, self._params.steps, self._params.learning_rate)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.zero_grad(set_to_none=True)
        return rate

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradients."""
        self.scaler.scale(loss).backward()

    def clip(self) -> Tensor:
        """Scale the gradients down to `clip_norm` and return the norm that they had."""
        self.scaler.unscale_(self.adam)
        limit = math.inf if self._params.clip_norm is None else self._params.clip_norm
        return torch.nn.utils.clip_grad_norm_(list(self._weights.values()), limit)

    def step(self) -> None:
        """Change the weights; fp16 leaves out steps whose gradients overflowed."""
        self.scaler.step(self.adam)
        self.scaler.update()

    def leave_out(self) -> None:
        """End a step without changing the weights."""
        if self.scaler.is_enabled():
            self.scaler.update()

    def moments(self) -> dict[str, Tensor]:
        """Return this process's parts of Adam's moments: `{moment}/{weight's name}`."""
        return {
            f"{moment}/{name}": local_part(self.adam.state[weight][moment])
            for name, weight in self._weights.items()
            for moment in MOMENTS
        }

    def steps(self) -> dict[str, Tensor]:
        """Return Adam's count of steps by weight's name."""
        return {name: self.adam.state[weight]["step"] for name, weight in self._weights.items()}

    @torch.no_grad()
    def resume(
        self,
        moments: Mapping[str, Tensor],
        steps: Mapping[str, Tensor],
        scaler: dict[str, Any],
    ) -> None:
        """Continue from what `moments`, `steps` and the scaler's own `state_dict` returned."""
        self.scaler.load_state_dict(scaler)
        for name, weight in self._weights.items():
            entry: dict[str, Any] = self.adam.state[weight]
            entry["step"] = steps[name].to(self._device, copy=True)
            for moment in MOMENTS:
                # Layout matters to the last bit: the kernels sum in memory order.
                entry[moment] = torch.zeros_like(weight)
                local_part(entry[moment]).copy_(moments[f"{moment}/{name}"])


def learning_rate(step: int, steps: int, params: LearningRateParams) -> float:
    """Return the learning rate of a step.

    Args:
        step: optimiser steps done, from 0.
        steps: steps of the whole training.
        params: warm-up and decay.
    """
    if step < params.warmup_steps:
        return params.peak * (step + 1) / params.warmup_steps
    if params.decay == "cosine":
        progress = (step - params.warmup_steps) / max(1, steps - params.warmup_steps)
        cosine = (1 + math.cos(math.pi * min(progress, 1.0))) / 2
        return params.peak * (params.final_fraction + (1 - params.final_fraction) * cosine)
    if params.decay == "step":
        return params.peak * 0.5 ** sum(step >= milestone for milestone in params.halve_at)
    return params.peak
