"""What every sampler is given: the process, the network, the noise, and the steps to take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from superres.diffusion.process import Clip, Denoiser, GaussianDiffusion, Prediction

Draw = Callable[[], Tensor]
"""Returns fresh standard normal noise of the images' shape."""

Watch = Callable[[int, Tensor, Tensor], object]
"""Called after every step with (steps done, x, predicted x0); must not change them."""


@dataclass(frozen=True)
class Walk:
    """One way from noise to images. Indices count the kept timesteps, 0 the cleanest.

    Args:
        diffusion: the respaced process.
        denoiser: the network with its conditions bound.
        draw: source of noise.
        eta: noise of `ddim`.
        temperature: factor on the noise added in each step.
        clip_denoised: how predictions of x0 are limited.
        watch: called after every step.
    """

    diffusion: GaussianDiffusion
    denoiser: Denoiser
    draw: Draw
    eta: float = 0.0
    temperature: float = 1.0
    clip_denoised: Clip = True
    watch: Watch | None = None

    @property
    def indices(self) -> range:
        """The indices in the order that they are visited."""
        return range(self.diffusion.timesteps - 1, -1, -1)

    @cached_property
    def _rows(self) -> dict[torch.device, Tensor]:
        return {}

    def timesteps(self, x: Tensor, index: int) -> Tensor:
        """Return an index for every image of a batch, (B,)."""
        # One row for all steps: filling a tensor per step would wait for the device.
        if x.device not in self._rows:
            self._rows[x.device] = torch.arange(self.diffusion.timesteps, device=x.device)
        return self._rows[x.device][index].expand(x.shape[0])

    def predict(self, x: Tensor, index: int) -> Prediction:
        """Return p(x_{t-1} | x_t) and x0 at an index, with one network evaluation."""
        t = self.timesteps(x, index)
        return self.diffusion.p_mean_variance(self.denoiser, x, t, self.clip_denoised)

    def predict_x0(self, x: Tensor, index: int) -> Tensor:
        """Return x0 alone at an index, with one network evaluation."""
        t = self.timesteps(x, index)
        output = self.denoiser(x, self.diffusion.model_timesteps(t))
        return self.diffusion.limited_x0(output, x, t, self.clip_denoised)

    def report(self, index: int, x: Tensor, x0: Tensor) -> None:
        """Tell the watch that the step from an index is done."""
        if self.watch is not None:
            self.watch(self.diffusion.timesteps - index, x, x0)

    @cached_property
    def alpha(self) -> list[float]:
        """Signal's deviation at each index."""
        return np.sqrt(self.diffusion.alphas_cumprod).tolist()

    @cached_property
    def sigma(self) -> list[float]:
        """Noise's deviation at each index."""
        return np.sqrt(1 - self.diffusion.alphas_cumprod).tolist()

    @cached_property
    def log_snr(self) -> list[float]:
        """log(alpha / sigma) at each index: the time of the solvers."""
        return (np.log(self.alpha) - np.log(self.sigma)).tolist()
