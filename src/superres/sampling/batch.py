"""Restoring a batch of pictures of one size with a model: by sampling, or in one evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from superres.core.seeding import derive_seed
from superres.core.tensors import to_signal
from superres.diffusion.noise import Draw, ItemNoise
from superres.diffusion.prediction import Requests, drive
from superres.diffusion.process import Clip, Denoiser
from superres.model.resolver import Conditioned, SuperResolver
from superres.sampling.finishing import Finish, Rows, finished
from superres.sampling.guidance import guided
from superres.sampling.samplers import begin, evaluations
from superres.sampling.spacing import respaced
from superres.sampling.trajectory import Trajectory, Watch


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn; see `superres.sampling.samplers.sample`.

    Args:
        sampler: a name from `superres.sampling.samplers.SAMPLERS`.
        steps: timesteps visited.
        spacing: how they are spread.
        eta: noise of `ddim`.
        temperature: factor on the noise added in each step.
        guidance: scale of the guidance, 0 for none.
        ramp: the scale falls with the noise.
        drop: what the other evaluation of guidance is not conditioned on, `low` or `entropies`.
        fidelity: share in [0, 1] of the coarse part of its difference from the mean that is taken
            back from a sample; see `superres.sampling.finishing`. Above 0 only where
            `SuperResolver.knows_mean`.
        coring: levels of 255, below which most of that difference is taken back, likewise.
        sharpening: share of the mean's fine detail that is added, in [0, 2], likewise.
        ceiling: how much more than in the surroundings luma differs from the mean at most, a ratio
            of root mean squares, likewise; 0 is none.
    """

    sampler: str = "ddpm"
    steps: int = 50
    spacing: str = "linear"
    eta: float = 0.0
    temperature: float = 1.0
    guidance: float = 0.0
    ramp: bool = False
    drop: tuple[str, ...] = ("low", "entropies")
    fidelity: float = 0.0
    coring: float = 0.0
    sharpening: float = 0.0
    ceiling: float = 0.0

    @property
    def finish(self) -> Finish:
        """What is done to a sample once it is drawn."""
        return Finish(self.fidelity, self.coring, self.sharpening, self.ceiling)

    @property
    def evaluations(self) -> int:
        """How often the network is evaluated for one picture: twice at a time with guidance."""
        return evaluations(self.sampler, self.steps) * (2 if self.guidance else 1)


def bind(conditioned: Conditioned, how: Sampling | None = None) -> Denoiser:
    """Return the denoiser of a model given its pictures, guided where `how` says so.

    Raises:
        ValueError: guidance that the model was not trained for.
    """
    if how is None or not how.guidance:
        return conditioned
    less = conditioned.without(how.drop)
    return guided(conditioned.diffusion, conditioned, less, how.guidance, how.ramp)


def begin_sample(
    model: SuperResolver,
    shape: Sequence[int],
    draw: Draw,
    clip: Clip,
    how: Sampling,
    watch: Watch | None = None,
) -> Requests[Tensor]:
    """Return a sampler about to make what is diffused; see `superres.sampling.samplers.begin`."""
    kept = respaced(model.diffusion, how.steps, how.spacing)
    trajectory = Trajectory(kept, draw, how.eta, how.temperature, clip, watch)
    return begin(how.sampler, trajectory, shape)


class Batch:
    """Low-resolution pictures of one size with their entropies and noise, on the model's device.

    Args:
        model: the model.
        low: uint8, (B, h, w, 3).
        entropy: in [0, 1], (B, K), in the model's order.
        items: an identity per picture; equal ones get equal noise.
        seed: the experiment's seed.
    """

    def __init__(
        self,
        model: SuperResolver,
        low: np.ndarray,
        entropy: np.ndarray,
        items: Sequence[str],
        seed: int,
    ) -> None:
        self.model = model
        self.low = to_signal(low, model.device)
        self.entropy = torch.from_numpy(np.asarray(entropy, dtype=np.float32)).to(model.device)
        self._items = items
        self._seed = seed

    @torch.no_grad()
    def sample(self, how: Sampling, repeat: int = 0, watch: Watch | None = None) -> Tensor:
        """Return one sample per picture, in about [-1, 1], (B, 3, H, W).

        Args:
            how: sampler, steps, guidance.
            repeat: which of a picture's samples; each has noise of its own.
            watch: called after every step.

        Raises:
            ValueError: something that the sampler or the model cannot do.
        """
        conditioned = self._conditioned
        denoiser = bind(conditioned, how)
        noise = self._noise("sample", repeat, conditioned.shape)
        sampler = begin_sample(self.model, conditioned.shape, noise, conditioned.clip, how, watch)
        sampled = conditioned.decode(drive(sampler, denoiser))
        if not how.finish:
            return sampled
        rows = Rows(sampled, conditioned.mean())
        return finished(rows, how.finish, self.model.spec.scale)

    @torch.no_grad()
    def estimate(self) -> Tensor:
        """Return the posterior's mean in one evaluation, in [-1, 1], (B, 3, H, W)."""
        conditioned = self._conditioned
        return conditioned.estimate(self._noise("estimate", 0, conditioned.shape))

    @cached_property
    def _conditioned(self) -> Conditioned:
        """The model given these pictures: what it says of them is computed once for all samples."""
        return self.model.condition(self.low, self.entropy)

    def _noise(self, purpose: str, repeat: int, shape: Sequence[int]) -> ItemNoise:
        seeds = [derive_seed(self._seed, purpose, item, repeat) for item in self._items]
        return ItemNoise(seeds, shape[1:], self.model.device)
