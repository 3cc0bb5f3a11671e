"""What training minimises: one row of `OBJECTIVES` for each `train.loss.kind`.

Another kind of training (a distillation, a network of two parts) is a class of its own with what
`Objective` asks for, in a file of its own, and a row here. Accumulation, averages, checkpoints and
what watches over them do not know what is minimised.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor

from superres.core.precision import PRECISIONS
from superres.diffusion.losses import loss_terms
from superres.diffusion.timesteps import (
    LogNormalTimesteps,
    LossSecondMoment,
    TimestepSampler,
    UniformTimesteps,
    spread,
)
from superres.model.folder import SuperResolver
from superres.training.config import LossParams
from superres.training.data import TrainingBatch
from superres.training.regression_loss import mean_denoiser_terms

EVALUATED_AT_ONCE = 16
"""More fill no device better."""


class Objective(Protocol):
    """The losses of tiles, and which timesteps training looks at.

    Attributes:
        model: what is trained.
        timesteps: the sampler of timesteps; what it learns is kept with the training's state.
    """

    model: SuperResolver
    timesteps: TimestepSampler

    def terms(self, batch: TrainingBatch, timesteps: Tensor) -> dict[str, Tensor]:
        """Return `loss` first, then its parts by the names of their columns in the log.

        Each is (B,) and differentiable; the weights of timesteps are applied by the trainer.
        """


class Denoising:
    """The losses of a diffusion model that learns to predict noise, pictures or velocities.

    Args:
        model: the model.
        loss: which loss.
        precision: what the network computes in, a key of `PRECISIONS`.
    """

    def __init__(self, model: SuperResolver, loss: LossParams, precision: str) -> None:
        self.model = model
        self._loss = loss
        self._dtype = PRECISIONS[precision]
        self.timesteps = timestep_sampler(model, loss)

    def terms(self, batch: TrainingBatch, timesteps: Tensor) -> dict[str, Tensor]:
        """See `Objective`; the parts are `mse` and `vb`, as far as the loss has them."""
        model, loss = self.model, self._loss
        with _autocast(model.device, self._dtype):
            dropped = {"low": batch.drop_low, "entropies": batch.drop_entropies}
            conditioned = model.condition(batch.low, batch.entropy, dropped)
            return loss_terms(
                model.diffusion,
                conditioned,
                conditioned.encode(batch.high),
                timesteps,
                batch.noise,
                kind=loss.kind,
                weighting=loss.weighting,
                vb_weight=loss.vb_weight,
                min_snr_gamma=loss.min_snr_gamma,
                levels=conditioned.levels(batch.high),
            )


class MeanAndDenoiser:
    """The losses of a network of two parts; see `superres.training.regression_loss`.

    Args:
        model: the model.
        loss: which timesteps, how many of the tiles the denoiser learns from, and what the mean
            learns by.
        precision: what the network computes in, a key of `PRECISIONS`.
    """

    def __init__(self, model: SuperResolver, loss: LossParams, precision: str) -> None:
        self.model = model
        self._share = loss.denoiser_share
        self._mean_error = loss.mean_error
        self._dtype = PRECISIONS[precision]
        self.timesteps = timestep_sampler(model, loss)

    def terms(self, batch: TrainingBatch, timesteps: Tensor) -> dict[str, Tensor]:
        """See `Objective`; the parts are `mean`, `deviation` and `denoiser`.

        Where nothing is learned, the denoiser sees all tiles.
        """
        model, count = self.model, len(batch.high)
        if torch.is_grad_enabled():
            count = max(1, round(self._share * count))
        with _autocast(model.device, self._dtype):
            conditioned = model.condition(batch.low, batch.entropy)
            noise = batch.noise[:, : model.channels]  # it is drawn for as many as a picture has
            return mean_denoiser_terms(
                model.diffusion,
                conditioned,
                batch.high,
                timesteps,
                noise,
                denoised=count,
                mean_error=self._mean_error,
            )


OBJECTIVES: dict[str, Callable[[SuperResolver, LossParams, str], Objective]] = {
    "mse": Denoising,
    "rescaled_mse": Denoising,
    "kl": Denoising,
    "rescaled_kl": Denoising,
    "mean_denoiser": MeanAndDenoiser,
}
"""By `train.loss.kind`: what makes an objective of a model, the loss and a precision."""


def make_objective(model: SuperResolver, loss: LossParams, precision: str) -> Objective:
    """Return the objective that `train.loss.kind` names.

    Args:
        model: the model, on the device where it is trained or evaluated.
        loss: which loss.
        precision: what the network computes in, a key of `PRECISIONS`.
    """
    return OBJECTIVES[loss.kind](model, loss, precision)


def timestep_sampler(model: SuperResolver, loss: LossParams) -> TimestepSampler:
    """Return the sampler that `train.loss.timesteps` names."""
    steps = model.diffusion.timesteps
    if loss.timesteps == "log_normal":
        share = torch.from_numpy(model.diffusion.alphas_cumprod).to(model.device)
        return LogNormalTimesteps(-0.5 * share.logit(), *loss.log_noise)
    if loss.timesteps == "loss_second_moment":
        return LossSecondMoment(steps, model.device)
    return UniformTimesteps(steps, loss.high_noise)


@torch.no_grad()
def each(objective: Objective, tiles: TrainingBatch, timesteps: Tensor, at_once: int) -> Tensor:
    """Return the loss of each tile, (B,), at one timestep each.

    Args:
        objective: whose loss.
        tiles: with their noise.
        timesteps: (B,).
        at_once: how many of them the network gets at most.
    """
    losses = []
    for some in portions(len(tiles.high), at_once):
        part = TrainingBatch(*(tensor[some] for tensor in tiles))
        losses.append(objective.terms(part, timesteps[some])["loss"])
    return torch.cat(losses)


def mean(objective: Objective, tiles: TrainingBatch, at_once: int) -> float:
    """Return the mean of `each`, the timesteps spread over the process."""
    count, model = len(tiles.high), objective.model
    timesteps = spread(count, model.diffusion.timesteps).to(model.device)
    return each(objective, tiles, timesteps, at_once).mean().item()


def portions(count: int, at_once: int) -> list[slice]:
    """Return slices of `count` items in a row, of at most `at_once` and `EVALUATED_AT_ONCE`."""
    size = min(at_once, EVALUATED_AT_ONCE)
    return [slice(first, first + size) for first in range(0, count, size)]


def _autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    """Return a context in which products are computed in a dtype; None changes nothing."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)
