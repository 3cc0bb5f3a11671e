"""The diffusion process: noising, its posterior, and what a network's output says about it.

Equations are those of Ho et al. 2020 (DDPM), Nichol & Dhariwal 2021 (Improved DDPM) and, for
velocity prediction, Salimans & Ho 2022. Images are (B, C, H, W) in about [-1, 1]; timesteps are
(B,) indices of this process, 0 the least noisy. The network is known only as a callable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from superres.core.tensors import moved

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(x_t, timesteps as the network was trained to see them) -> raw output, C or 2C channels."""

Clip = bool | Callable[[Tensor], Tensor]
"""Keep predictions of x0 in [-1, 1] (True), as they are (False), or in a range of one's own."""

PREDICTIONS = ("epsilon", "x0", "v")
VARIANCES = ("learned_range", "bounded_range", "learned", "fixed_small", "fixed_large")


class Gaussian(NamedTuple):
    """A diagonal Gaussian; `variance` and `log_variance` broadcast against `mean`."""

    mean: Tensor
    variance: Tensor
    log_variance: Tensor


class Prediction(NamedTuple):
    """What the network says of x_{t-1}, and its x0, all (B, C, H, W) or broadcasting to it."""

    mean: Tensor
    log_variance: Tensor
    x0: Tensor
    fixed_variance: Tensor | None = None
    """Where it is not learned; at t = 0 it is 0, and `log_variance` is not its logarithm."""

    @property
    def variance(self) -> Tensor:
        """The variance, computed when it is asked for: samplers want its logarithm alone."""
        return self.log_variance.exp() if self.fixed_variance is None else self.fixed_variance


class GaussianDiffusion:
    """A discrete-time diffusion process.

    Args:
        betas: float64 variances, shape (T,), each in (0, 1]; see `make_betas`.
        prediction: what the network predicts: `epsilon`, `x0` or `v`.
        variance: `learned_range` (interpolates between the two fixed ones in the log domain, and
            may go beyond them), `bounded_range` (the same without going beyond), `learned` (the
            log-variance itself), `fixed_small` (the posterior's) or `fixed_large` (beta).
        timestep_map: for a respaced process, the original timestep of each of its own.
        model_timesteps_scale: factor on the timesteps the network sees; 1000 / T rescales them.

    Raises:
        ValueError: betas out of range or unknown names.
    """

    def __init__(
        self,
        betas: np.ndarray,
        prediction: str = "epsilon",
        variance: str = "learned_range",
        timestep_map: Sequence[int] | None = None,
        model_timesteps_scale: float | None = None,
    ) -> None:
        betas = np.asarray(betas, dtype=np.float64)
        if betas.ndim != 1 or not len(betas) or betas.min() <= 0 or betas.max() > 1:
            raise ValueError("betas must be a row of numbers in (0, 1]")
        if prediction not in PREDICTIONS:
            raise ValueError(f"prediction must be one of {', '.join(PREDICTIONS)}: {prediction!r}")
        if variance not in VARIANCES:
            raise ValueError(f"variance must be one of {', '.join(VARIANCES)}: {variance!r}")
        self.betas = betas
        self.prediction = prediction
        self.variance = variance
        self.timesteps = len(betas)
        self.timestep_map = list(range(len(betas)) if timestep_map is None else timestep_map)
        self.model_timesteps_scale = model_timesteps_scale
        self.alphas_cumprod = np.cumprod(1 - betas)
        self._tables = {
            name: torch.from_numpy(table) for name, table in _tables(betas, variance).items()
        }
        self._model_timesteps = torch.tensor(self.timestep_map)
        if model_timesteps_scale is not None:
            self._model_timesteps = self._model_timesteps.float() * model_timesteps_scale

    @property
    def learns_variance(self) -> bool:
        """Whether the network's output has a second half for the variance."""
        return not self.variance.startswith("fixed")

    def to(self, device: torch.device | str) -> GaussianDiffusion:
        """Move the tables to a device, in place, so that no step copies anything; return self."""
        self._tables = {name: moved(table, device) for name, table in self._tables.items()}
        self._model_timesteps = self._model_timesteps.to(device)
        return self

    def at(self, name: str, t: Tensor, like: Tensor) -> Tensor:
        """Return a table's values at timesteps, in `like`'s dtype, shaped (B, 1, 1, 1)."""
        values = self._tables[name].to(t.device)[t].to(like.dtype)
        return values.view(-1, *[1] * (like.ndim - 1))

    def model_timesteps(self, t: Tensor) -> Tensor:
        """Return the timesteps the network sees for this process's timesteps, shape (B,)."""
        return self._model_timesteps.to(t.device)[t]

    def q_sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t for clean images and standard normal noise (DDPM, equation 4)."""
        return self.at("signal", t, x0) * x0 + self.at("sigma", t, x0) * noise

    def q_posterior(self, x0: Tensor, x_t: Tensor, t: Tensor) -> Gaussian:
        """Return q(x_{t-1} | x_t, x0) (DDPM, equations 6 and 7)."""
        return Gaussian(
            self._posterior_mean(x0, x_t, t),
            self.at("posterior_variance", t, x_t),
            self.at("posterior_log_variance", t, x_t),
        )

    def x0_from_output(self, output: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the x0 that a raw prediction (C channels) implies."""
        if self.prediction == "epsilon":
            scaled = self.at("recip", t, x_t) * x_t
            return scaled.sub_(self.at("recip_m1", t, x_t) * output)
        if self.prediction == "v":
            scaled = self.at("signal", t, x_t) * x_t
            return scaled.sub_(self.at("sigma", t, x_t) * output)
        return output

    def epsilon_from_x0(self, x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the noise that takes x0 to x_t."""
        return (self.at("recip", t, x_t) * x_t - x0) / self.at("recip_m1", t, x_t)

    def target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return what the network should have predicted."""
        if self.prediction == "epsilon":
            return noise
        if self.prediction == "v":
            return self.at("signal", t, x0) * noise - self.at("sigma", t, x0) * x0
        return x0

    def p_mean_variance(
        self, denoiser: Denoiser, x_t: Tensor, t: Tensor, clip_denoised: Clip = True
    ) -> Prediction:
        """Return p(x_{t-1} | x_t) and the predicted x0 with one network evaluation."""
        output = denoiser(x_t, self.model_timesteps(t))
        return self.interpret(output, x_t, t, clip_denoised)

    def interpret(
        self, output: Tensor, x_t: Tensor, t: Tensor, clip_denoised: Clip = True
    ) -> Prediction:
        """Return p(x_{t-1} | x_t) and x0 from a raw output, (B, C or 2C, H, W).

        Raises:
            ValueError: the output's channels do not fit the image's and the kind of variance.
        """
        x0 = self.limited_x0(output, x_t, t, clip_denoised)
        mean = self._posterior_mean(x0, x_t, t)
        if self.learns_variance:
            return Prediction(mean, self._log_variance(output[:, x_t.shape[1] :], x_t, t), x0)
        fixed = self.at("fixed_variance", t, x_t)
        return Prediction(mean, self.at("fixed_log_variance", t, x_t), x0, fixed)

    def limited_x0(
        self, output: Tensor, x_t: Tensor, t: Tensor, clip_denoised: Clip = True
    ) -> Tensor:
        """Return x0 alone, limited as asked, from a raw output, (B, C or 2C, H, W).

        Raises:
            ValueError: the output's channels do not fit the image's and the kind of variance.
        """
        channels = x_t.shape[1]
        expected = channels * (2 if self.learns_variance else 1)
        if output.shape[1] != expected:
            raise ValueError(
                f"variance {self.variance!r} needs {expected} output channels, "
                f"got {output.shape[1]}"
            )
        x0 = self.x0_from_output(output[:, :channels], x_t, t)
        if callable(clip_denoised):
            return clip_denoised(x0)
        return x0.clamp(-1, 1) if clip_denoised else x0

    def _posterior_mean(self, x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        mean = self.at("posterior_x0", t, x_t) * x0
        return mean.addcmul_(self.at("posterior_xt", t, x_t), x_t)

    def _log_variance(self, values: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        if self.variance == "learned":
            return values
        # Improved DDPM, equation 15; the network's values run from -1 to 1, or anywhere.
        bounded = self.variance == "bounded_range"
        values = values.to(x_t.dtype)  # a network under autocast says less precise ones
        fraction = values.sigmoid() if bounded else (values + 1) / 2
        low, high = self.at("posterior_log_variance", t, x_t), self.at("log_beta", t, x_t)
        return torch.lerp(low, high, fraction)


def _tables(betas: np.ndarray, variance: str) -> dict[str, np.ndarray]:
    cumulative = np.cumprod(1 - betas)
    before = np.concatenate([[1.0], cumulative[:-1]])
    posterior = betas * (1 - before) / (1 - cumulative)
    # The posterior's variance is 0 at t = 0, where its logarithm takes the next step's value.
    clipped = np.concatenate([posterior[1:2], posterior[1:]]) if len(betas) > 1 else betas
    large = np.concatenate([clipped[:1], betas[1:]])
    fixed = large if variance == "fixed_large" else posterior
    return {
        "log_beta": np.log(betas),
        "signal": np.sqrt(cumulative),
        "sigma": np.sqrt(1 - cumulative),
        "log_noise": np.log1p(-cumulative),
        "recip": np.sqrt(1 / cumulative),
        "recip_m1": np.sqrt(1 / cumulative - 1),
        "alphas_cumprod": cumulative,
        "posterior_variance": posterior,
        "posterior_log_variance": np.log(clipped),
        "posterior_x0": betas * np.sqrt(before) / (1 - cumulative),
        "posterior_xt": (1 - before) * np.sqrt(1 - betas) / (1 - cumulative),
        "fixed_variance": fixed,
        "fixed_log_variance": np.log(large if variance == "fixed_large" else clipped),
    }
