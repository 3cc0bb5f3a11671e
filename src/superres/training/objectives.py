"""What training minimises, and the same on fixed validation pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from superres.core.precision import PRECISIONS
from superres.diffusion.losses import loss_terms
from superres.diffusion.timesteps import spread
from superres.model.folder import SuperResolver
from superres.networks.conditions import drop_entropies, drop_low
from superres.training.batches import TrainingBatch
from superres.training.config import LossParams

EVALUATED_AT_ONCE = 16
"""More fill no device better."""


class Objective:
    """The loss of a model.

    Args:
        model: the model.
        loss: which loss.
        precision: what the network computes in, a key of `PRECISIONS`.
    """

    def __init__(self, model: SuperResolver, loss: LossParams, precision: str) -> None:
        self._model = model
        self._loss = loss
        self._dtype = PRECISIONS[precision]

    def terms(self, batch: TrainingBatch, timesteps: Tensor) -> dict[str, Tensor]:
        """Return `loss` and its parts, each (B,)."""
        model, loss = self._model, self._loss
        with torch.autocast(model.device.type, self._dtype, enabled=self._dtype is not None):
            return loss_terms(
                model.diffusion,
                model.denoiser(
                    drop_low(batch.low, batch.drop_low),
                    drop_entropies(batch.entropy, batch.drop_entropies),
                ),
                model.encode(batch.high, batch.low),
                timesteps,
                batch.noise,
                kind=loss.kind,
                weighting=loss.weighting,
                vb_weight=loss.vb_weight,
                min_snr_gamma=loss.min_snr_gamma,
                levels=model.levels(batch.high),
            )

    def mean(self, tiles: TrainingBatch, at_once: int) -> float:
        """Return the mean of `each`."""
        return self.each(tiles, at_once).mean().item()

    @torch.no_grad()
    def each(self, tiles: TrainingBatch, at_once: int) -> Tensor:
        """Return the loss of each tile, (B,), one timestep each, spread over the process.

        Args:
            tiles: with their noise.
            at_once: how many of them the network gets at most.
        """
        count = len(tiles.high)
        timesteps = spread(count, self._model.diffusion.timesteps).to(self._model.device)
        losses = []
        for some in portions(count, at_once):
            part = TrainingBatch(*(tensor[some] for tensor in tiles))
            losses.append(self.terms(part, timesteps[some])["loss"])
        return torch.cat(losses)


def portions(count: int, at_once: int) -> list[slice]:
    """Return slices of `count` items in a row, of at most `at_once` and `EVALUATED_AT_ONCE`."""
    size = min(at_once, EVALUATED_AT_ONCE)
    return [slice(first, first + size) for first in range(0, count, size)]
