"""Restoring a batch of pictures of one size with a model: by sampling, or in one evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from superres.core.seeding import derive_seed
from superres.core.tensors import to_signal
from superres.diffusion.noise import ItemNoise
from superres.diffusion.process import Clip, Denoiser
from superres.model.resolver import SuperResolver
from superres.sampling.guidance import guided
from superres.sampling.samplers import posterior_mean, sample
from superres.sampling.trajectory import Draw, Watch


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
        drop: what guidance turns away from being told, `low` or `entropies`.
    """

    sampler: str = "ddpm"
    steps: int = 50
    spacing: str = "linear"
    eta: float = 0.0
    temperature: float = 1.0
    guidance: float = 0.0
    ramp: bool = False
    drop: tuple[str, ...] = ("low", "entropies")


def bind(
    model: SuperResolver, low: Tensor, entropy: Tensor, how: Sampling | None = None
) -> Denoiser:
    """Return the model's denoiser for these conditions, guided where `how` says so.

    Raises:
        ValueError: guidance that the model was not trained for.
    """
    conditioned = model.condition(low, entropy)
    if how is None or not how.guidance:
        return conditioned
    model.check_droppable(how.drop)
    less = model.condition(low, entropy, how.drop)
    return guided(model.diffusion, conditioned, less, how.guidance, how.ramp)


def draw_sample(
    model: SuperResolver,
    denoiser: Denoiser,
    shape: Sequence[int],
    draw: Draw,
    clip: Clip,
    how: Sampling,
    watch: Watch | None = None,
) -> Tensor:
    """Return what was diffused, drawn as `how` says; see `superres.sampling.samplers.sample`."""
    return sample(
        model.diffusion,
        denoiser,
        shape,
        draw=draw,
        sampler=how.sampler,
        steps=how.steps,
        spacing=how.spacing,
        eta=how.eta,
        temperature=how.temperature,
        clip_denoised=clip,
        watch=watch,
    )


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

    def sample(self, how: Sampling, repeat: int = 0, watch: Watch | None = None) -> Tensor:
        """Return one sample per picture, in about [-1, 1], (B, 3, H, W).

        Args:
            how: sampler, steps, guidance.
            repeat: which of a picture's samples; each has noise of its own.
            watch: called after every step.

        Raises:
            ValueError: something that the sampler or the model cannot do.
        """
        model = self.model
        x = draw_sample(
            model,
            bind(model, self.low, self.entropy, how),
            (len(self._items), 3, *model.size(self.low)),
            self._noise("sample", repeat),
            model.clip(self.low),
            how,
            watch,
        )
        return model.decode(x, self.low)

    def estimate(self) -> Tensor:
        """Return the posterior's mean in one evaluation, in [-1, 1], (B, 3, H, W)."""
        model = self.model
        x0 = posterior_mean(
            model.diffusion,
            model.denoiser(self.low, self.entropy),
            self._noise("estimate", 0),
            model.clip(self.low),
        )
        return model.decode(x0, self.low)

    def _noise(self, purpose: str, repeat: int) -> ItemNoise:
        seeds = [derive_seed(self._seed, purpose, item, repeat) for item in self._items]
        return ItemNoise(seeds, (3, *self.model.size(self.low)), self.model.device)
