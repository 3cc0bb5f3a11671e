"""Which timesteps a training step looks at, and how much each loss then counts.

A timestep sampler turns uniform draws into timesteps and weights; only importance sampling learns
from the losses. Everything happens on the device, without waiting for it.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

NOISIEST = 0.05
"""The share of the timesteps that `high_noise` draws more often."""
HISTORY = 10
"""Losses remembered per timestep, as in the reference."""
UNIFORM_SHARE = 0.001
"""Share of the probability that importance sampling spreads evenly, as in the reference."""


class TimestepSampler(Protocol):
    """What training needs of a timestep sampler."""

    def draw(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Return timesteps and the weights of their losses, each (B,), for draws (B, 2)."""

    def learn(self, t: Tensor, losses: Tensor) -> None:
        """Take note of unweighted losses, (B,), in the order of their positions."""

    def state(self) -> dict[str, Tensor]:
        """Return what a resumed training needs."""

    def resume(self, state: dict[str, Tensor]) -> None:
        """Take up a state."""


class UniformTimesteps:
    """Every timestep alike, or a share of the draws from the noisiest twentieth.

    Args:
        timesteps: T.
        high_noise: that share, in [0, 1]. Weights stay 1: those timesteps are meant to count more.
    """

    def __init__(self, timesteps: int, high_noise: float = 0.0) -> None:
        self._timesteps = timesteps
        self._high_noise = high_noise

    def draw(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """See `TimestepSampler`."""
        start = torch.where(uniform[:, 0] < self._high_noise, 1 - NOISIEST, 0.0)
        t = ((start + (1 - start) * uniform[:, 1]) * self._timesteps).long()
        return t, torch.ones_like(uniform[:, 1])

    def learn(self, t: Tensor, losses: Tensor) -> None:
        """Nothing to learn."""

    def state(self) -> dict[str, Tensor]:
        """Nothing to keep."""
        return {}

    def resume(self, state: dict[str, Tensor]) -> None:
        """Nothing to take up."""


class LogNormalTimesteps:
    """Timesteps whose noise's over signal's deviation is log-normal, as near as there are any.

    Args:
        log_noise: log(sigma / alpha) of each timestep, (T,), rising.
        mean: of its natural logarithm.
        deviation: of that, above 0.

    Source: Karras et al. 2022 ("Elucidating the design space"), section 5. Weights stay 1.
    """

    def __init__(self, log_noise: Tensor, mean: float, deviation: float) -> None:
        self._log_noise = log_noise
        self._mean, self._deviation = mean, deviation

    def draw(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """See `TimestepSampler`."""
        normal = torch.special.ndtri(uniform[:, 1].clamp(min=1e-9))
        wanted = self._mean + self._deviation * normal
        t = torch.searchsorted(self._log_noise, wanted.to(self._log_noise.dtype))
        return t.clamp(max=len(self._log_noise) - 1), torch.ones_like(uniform[:, 1])

    def learn(self, t: Tensor, losses: Tensor) -> None:
        """Nothing to learn."""

    def state(self) -> dict[str, Tensor]:
        """Nothing to keep."""
        return {}

    def resume(self, state: dict[str, Tensor]) -> None:
        """Nothing to take up."""


class LossSecondMoment:
    """Importance sampling: timesteps in proportion to the root of their mean squared loss.

    Until every timestep has been seen `HISTORY` times, timesteps are uniform. Weights are
    1 / (T p), so that the weighted loss stays an unbiased estimate of the uniform one.

    Args:
        timesteps: T.
        device: where the history is kept.

    Source: Nichol & Dhariwal 2021, section 3.3, equation 18.
    """

    def __init__(self, timesteps: int, device: torch.device | str = "cpu") -> None:
        self._history = torch.zeros(timesteps, HISTORY, dtype=torch.float64, device=device)
        self._counts = torch.zeros(timesteps, dtype=torch.int64, device=device)

    def probabilities(self) -> Tensor:
        """Return each timestep's probability, (T,), float64."""
        uniform = torch.full_like(self._history[:, 0], 1 / len(self._history))
        spread = self._history.square().mean(1).sqrt()
        spread = spread / spread.sum()
        mixed = (1 - UNIFORM_SHARE) * spread + UNIFORM_SHARE * uniform
        return torch.where((self._counts >= HISTORY).all(), mixed, uniform)

    def draw(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """See `TimestepSampler`."""
        probabilities = self.probabilities()
        places = probabilities.cumsum(0)
        t = torch.searchsorted(places, uniform[:, 1] * places[-1], right=True)
        t = t.clamp(max=len(places) - 1)
        return t, 1 / (len(places) * probabilities[t])

    def learn(self, t: Tensor, losses: Tensor) -> None:
        """See `TimestepSampler`; the oldest losses of a timestep give way."""
        same = t[:, None] == t[None]
        earlier = same.tril(-1).sum(1)
        # Of more losses than fit, only the last are kept: no place is written twice.
        kept = same.sum(1) - earlier <= HISTORY
        places = (self._counts[t] + earlier) % HISTORY
        flat = t * HISTORY + places
        spare = torch.full_like(flat, self._history.numel())
        padded = torch.cat([self._history.flatten(), self._history.new_zeros(1)])
        padded[torch.where(kept, flat, spare)] = losses.detach().to(padded.dtype)
        self._history = padded[:-1].reshape(self._history.shape)
        self._counts = self._counts + torch.zeros_like(self._counts).index_add_(
            0, t, torch.ones_like(t)
        )

    def state(self) -> dict[str, Tensor]:
        """Return what a resumed training needs."""
        return {"history": self._history, "counts": self._counts}

    def resume(self, state: dict[str, Tensor]) -> None:
        """Take up a state."""
        self._history = state["history"].to(self._history.device)
        self._counts = state["counts"].to(self._counts.device)


def spread(count: int, timesteps: int) -> Tensor:
    """Return `count` timesteps spread evenly over all, (count,): for a validation loss."""
    return ((torch.arange(count, dtype=torch.float64) + 0.5) / count * timesteps).long()
