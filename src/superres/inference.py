"""Restoring a batch of pictures of one size with a model: by sampling, or in one evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from superres.diffusion.noise import ItemNoise
from superres.diffusion.samplers import Watch, posterior_mean, sample
from superres.model_folder import SuperResolver
from superres.pixels import to_signal
from superres.seeding import derive_seed


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

    def sample(
        self,
        sampler: str,
        steps: int,
        eta: float = 0.0,
        temperature: float = 1.0,
        repeat: int = 0,
        watch: Watch | None = None,
    ) -> Tensor:
        """Return one sample per picture, in about [-1, 1], (B, 3, H, W).

        Args:
            sampler: a name from `superres.diffusion.samplers.SAMPLERS`.
            steps: network evaluations.
            eta: noise of `ddim`.
            temperature: factor on the noise added in each step.
            repeat: which of a picture's samples; each has noise of its own.
            watch: called after every step.
        """
        model = self.model
        x = sample(
            model.diffusion,
            model.denoiser(self.low, self.entropy),
            (len(self._items), 3, *model.size(self.low)),
            draw=self._noise("sample", repeat),
            sampler=sampler,
            steps=steps,
            eta=eta,
            temperature=temperature,
            clip_denoised=model.clip(self.low),
            watch=watch,
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
