"""What every sampler is given: the process, the noise, and the steps to take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from superres.diffusion import prediction
from superres.diffusion.noise import Draw
from superres.diffusion.prediction import Requests
from superres.diffusion.process import Clip, GaussianDiffusion, Prediction

Watch = Callable[[int, Tensor, Tensor], object]
"""Called after every step with (steps done, x, predicted x0); must not change them."""


@dataclass(frozen=True)
class Trajectory:
    """One way from noise to images. Indices count the kept timesteps, 0 the cleanest.

    Args:
        diffusion: the respaced process.
        draw: source of noise.
        eta: noise of `ddim`.
        temperature: factor on the noise added in each step.
        clip_denoised: how predictions of x0 are limited.
        watch: called after every step.
    """

    diffusion: GaussianDiffusion
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

    def predict(self, x: Tensor, index: int) -> Requests[Prediction]:
        """Return p(x_{t-1} | x_t) and x0 at an index, with one evaluation: use `yield from`."""
        t = self.timesteps(x, index)
        return prediction.predict(self.diffusion, x, t, self.clip_denoised)

    def predict_x0(self, x: Tensor, index: int) -> Requests[Tensor]:
        """Return x0 alone at an index, with one evaluation: use `yield from`."""
        t = self.timesteps(x, index)
        return prediction.predict_x0(self.diffusion, x, t, self.clip_denoised)

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
