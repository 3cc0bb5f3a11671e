from __future__ import annotations

import numpy as np
import pytest
import torch

from superres.diffusion.timesteps import (
    HISTORY,
    UNIFORM_SHARE,
    LogNormalTimesteps,
    LossSecondMoment,
    UniformTimesteps,
    spread,
)


def draws(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((count, 2)))


class Plain:
    """Importance sampling as published, one loss after the other."""

    def __init__(self, timesteps: int) -> None:
        self.history: list[list[float]] = [[] for _ in range(timesteps)]

    def learn(self, t: torch.Tensor, losses: torch.Tensor) -> None:
        for step, loss in zip(t.tolist(), losses.tolist(), strict=True):
            self.history[step] = [*self.history[step], loss][-HISTORY:]

    def probabilities(self) -> np.ndarray:
        count = len(self.history)
        if any(len(row) < HISTORY for row in self.history):
            return np.full(count, 1 / count)
        roots = np.array([np.sqrt(np.mean(np.square(row))) for row in self.history])
        return (1 - UNIFORM_SHARE) * roots / roots.sum() + UNIFORM_SHARE / count


def test_importance_sampling_is_the_published_one_whatever_the_batches() -> None:
    generator = np.random.default_rng(0)
    sampler, plain = LossSecondMoment(7), Plain(7)
    for step in range(60):
        # Batches in which one timestep comes more often than the history is long, too.
        t = torch.from_numpy(generator.integers(0, 7 if step % 3 else 2, size=30))
        losses = torch.from_numpy(generator.exponential(size=30)) * (1 + t)
        sampler.learn(t, losses)
        plain.learn(t, losses)
        np.testing.assert_allclose(sampler.probabilities().numpy(), plain.probabilities())
    assert sampler.probabilities().std() > 0.01


def test_until_every_timestep_is_known_they_are_uniform() -> None:
    sampler = LossSecondMoment(4)
    everything_but_one = torch.arange(4).repeat(HISTORY)[:-1]
    sampler.learn(everything_but_one, torch.arange(len(everything_but_one)).double())
    t, weights = sampler.draw(draws(400))
    assert torch.equal(weights, torch.ones(400, dtype=torch.float64))
    assert (t.bincount(minlength=4) > 60).all()
    sampler.learn(torch.tensor([3]), torch.tensor([1.0]))
    assert not torch.allclose(sampler.probabilities(), torch.full((4,), 0.25, dtype=torch.float64))


def test_weights_keep_the_expected_loss() -> None:
    sampler = LossSecondMoment(20)
    loss_of = torch.linspace(0.1, 5, 20, dtype=torch.float64)
    t = torch.arange(20).repeat(HISTORY)
    sampler.learn(t, loss_of[t])
    t, weights = sampler.draw(draws(20_000))
    shares = t.bincount(minlength=20) / 20_000
    np.testing.assert_allclose(shares, sampler.probabilities(), atol=0.01)
    assert (weights * loss_of[t]).mean().item() == pytest.approx(loss_of.mean().item(), rel=1e-3)


def test_a_state_is_taken_up() -> None:
    one, two = LossSecondMoment(3), LossSecondMoment(3)
    one.learn(torch.arange(3).repeat(12), torch.rand(36))
    two.resume(one.state())
    assert torch.equal(one.probabilities(), two.probabilities())
    one.learn(torch.tensor([1]), torch.tensor([9.0]))
    two.learn(torch.tensor([1]), torch.tensor([9.0]))
    assert torch.equal(one.probabilities(), two.probabilities())
    assert UniformTimesteps(3).state() == {}


def test_high_noise_draws_more_from_the_noisiest() -> None:
    for share in (0.0, 0.5):
        t, weights = UniformTimesteps(1000, share).draw(draws(4000))
        assert t.min() >= 0
        assert t.max() <= 999
        expected = share + (1 - share) * 0.05
        assert (t >= 950).double().mean().item() == pytest.approx(expected, abs=0.02)
        assert torch.equal(weights, torch.ones(4000, dtype=torch.float64))


def test_the_spread_is_fixed_and_even() -> None:
    assert spread(4, 1000).tolist() == [125, 375, 625, 875]
    assert spread(1000, 1000).tolist() == list(range(1000))


def test_log_normal_timesteps_have_the_noise_that_is_asked_for() -> None:
    log_noise = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    t, weights = LogNormalTimesteps(log_noise, mean=0.5, deviation=1.2).draw(draws(20_000))
    drawn = log_noise[t]
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.03)
    assert drawn.std().item() == pytest.approx(1.2, abs=0.03)
    assert torch.equal(weights, torch.ones(20_000, dtype=torch.float64))


def test_log_normal_timesteps_stay_within_the_process() -> None:
    extremes = torch.tensor([[0.0, 0.0], [0.0, 1 - 1e-16]], dtype=torch.float64)
    t, _ = LogNormalTimesteps(torch.linspace(-1, 1, 11), mean=0.0, deviation=2.0).draw(extremes)
    assert t.tolist() == [0, 10]
