"""Learning rate as a function of the step, and the optimisers with their arithmetic."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import AdamW

from superres.core.distributed import local_part
from superres.training.config import LearningRateParams, TrainParams
from superres.training.muon import make_muon

ADAM_MOMENTS = ("exp_avg", "exp_avg_sq")
"""AdamW's averages of the gradients and of their squares."""
MUON_MOMENTS = ("momentum_buffer",)
"""Muon's running mean of the gradients."""


class Optimizer:
    """AdamW and Muon with clipping; for fp16 with losses scaled so that small gradients survive.

    Args:
        weights: what is trained, by name.
        convolutions: names of weights that Muon trains where `train.muon.rate` is not 0.
        params: rates, clipping, precision.
        device: where the weights are.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        convolutions: Collection[str],
        params: TrainParams,
        device: torch.device,
    ) -> None:
        self._params = params
        self._device = device
        self._weights = dict(weights)
        self._moments = moments_by_weight(weights, convolutions, params)
        # Muon knows matrices alone: each shares its memory with a weight.
        self._matrices = {
            name: nn.Parameter(as_matrix(weights[name].detach()))
            for name, moments in self._moments.items()
            if moments == MUON_MOMENTS
        }
        self.adam = AdamW(
            [weight for name, weight in weights.items() if name not in self._matrices],
            lr=params.learning_rate.peak,
            betas=(params.betas[0], params.betas[1]),
            weight_decay=params.weight_decay,
            fused=True,
        )
        self._optimizers: list[tuple[torch.optim.Optimizer, float]] = [(self.adam, 1.0)]
        self._states = {name: (self.adam.state, weight) for name, weight in weights.items()}
        if self._matrices:
            muon = make_muon(
                self._matrices.values(), params.muon.momentum, params.weight_decay, device
            )
            self._optimizers.append((muon, params.muon.rate))
            self._states |= {name: (muon.state, part) for name, part in self._matrices.items()}
        self.scaler = GradScaler(device.type, enabled=params.precision == "fp16")

    def begin(self, step: int) -> float:
        """Forget the gradients and set the learning rate of a step, counted from 0; return it."""
        rate = learning_rate(step, self._params.steps, self._params.learning_rate)
        for optimizer, factor in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        # A matrix that kept its view of a gradient would keep the gradient's memory too.
        for weight in (*self._weights.values(), *self._matrices.values()):
            weight.grad = None
        return rate

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradients."""
        self.scaler.scale(loss).backward()

    def clip(self) -> Tensor:
        """Scale the gradients down to `clip_norm` and return the norm that they had."""
        for name, matrix in self._matrices.items():
            gradient = self._weights[name].grad
            matrix.grad = None if gradient is None else as_matrix(gradient)
        for optimizer, _ in self._optimizers:
            self.scaler.unscale_(optimizer)
        limit = math.inf if self._params.clip_norm is None else self._params.clip_norm
        return torch.nn.utils.clip_grad_norm_(list(self._weights.values()), limit)

    def step(self) -> None:
        """Change the weights; fp16 leaves out steps whose gradients overflowed."""
        for optimizer, _ in self._optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()

    def leave_out(self) -> None:
        """End a step without changing the weights."""
        if self.scaler.is_enabled():
            self.scaler.update()

    def unmade(self) -> list[Tensor]:
        """Return the weight of each moment that only the first step makes, once for each."""
        return [
            weight
            for name, weight in self._weights.items()
            for moment in self._moments[name]
            if moment not in self._state(name)
        ]

    def moments(self) -> dict[str, Tensor]:
        """Return this process's parts of the moments: `{moment}/{weight's name}`."""
        return {
            f"{moment}/{name}": local_part(self._state(name)[moment])
            for name, moments in self._moments.items()
            for moment in moments
        }

    def steps(self) -> dict[str, Tensor]:
        """Return AdamW's counts of steps by weight's name."""
        return {name: self._state(name)["step"] for name in self._by_adam()}

    @torch.no_grad()
    def resume(
        self,
        moments: Mapping[str, Tensor],
        steps: Mapping[str, Tensor],
        scaler: dict[str, Any],
    ) -> None:
        """Continue from what `moments`, `steps` and the scaler's own `state_dict` returned."""
        self.scaler.load_state_dict(scaler)
        for name in self._by_adam():
            self._state(name)["step"] = steps[name].to(self._device, copy=True)
        for name, names in self._moments.items():
            for moment in names:
                # Layout matters to the last bit: the kernels sum in memory order.
                empty = torch.zeros_like(self._states[name][1])
                local_part(empty).copy_(moments[f"{moment}/{name}"])
                self._state(name)[moment] = empty

    def _by_adam(self) -> list[str]:
        return [name for name in self._weights if name not in self._matrices]

    def _state(self, name: str) -> dict[str, Any]:
        """Return what the optimiser of a weight remembers of it."""
        states, trained = self._states[name]
        return states[trained]


def moments_by_weight(
    weights: Mapping[str, Tensor], convolutions: Collection[str], params: TrainParams
) -> dict[str, tuple[str, ...]]:
    """Return by weight's name what its optimiser keeps of its gradients, each as large as it is.

    Args:
        weights: what is trained, by name.
        convolutions: names of weights that Muon can train.
        params: whether it does.
    """
    by_muon = set(convolutions) if params.muon.rate else set()
    return {name: MUON_MOMENTS if name in by_muon else ADAM_MOMENTS for name in weights}


def as_matrix(convolution: Tensor) -> Tensor:
    """Return a view of a convolution's weight, (out, in, ...), as (out, what each output sees).

    Its columns are in the order of memory, whichever that is.
    """
    if convolution.is_contiguous():
        return convolution.flatten(1)
    channels_last = (0, *range(2, convolution.ndim), 1)
    return convolution.permute(channels_last).view(len(convolution), -1)


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
