"""What the network of two parts minimises."""

from __future__ import annotations

import math

import torch

from model.test_signal_space import model, tiles
from superres.model.signal_space import luma
from superres.training.regression_loss import DEVIATION_WEIGHT, mean_denoiser_terms


def test_parts_add_up_and_are_what_they_are_called() -> None:
    high, low, entropy = tiles()
    made = model()
    conditioned = made.condition(low, entropy)
    noise = torch.randn(conditioned.shape, generator=torch.Generator().manual_seed(2))
    t = torch.tensor([10, 90])
    terms = mean_denoiser_terms(made.diffusion, conditioned, high, t, noise)
    assert torch.allclose(terms["loss"], sum(terms[n] for n in ("mean", "deviation", "denoiser")))
    said = conditioned.conditions
    assert torch.allclose(terms["mean"], 25 * (high - said.mean).square().mean((1, 2, 3)))
    x0 = conditioned.encode(high)
    x_t = made.diffusion.q_sample(x0, t, noise)
    target = made.diffusion.target(x0, noise, t)
    expected = (conditioned(x_t, t) - target).square().mean((1, 2, 3))
    assert torch.allclose(terms["denoiser"], expected)
    left = high - said.mean
    y, scale = luma(left), said.log_deviation.exp()
    normal = torch.distributions.Normal(0.0, scale)
    nats = -normal.log_prob(y).mean((1, 2, 3)) - 0.5 * math.log(2 * math.pi)
    assert torch.allclose(terms["deviation"], DEVIATION_WEIGHT * nats, atol=1e-5)


def test_the_mean_learns_from_its_error_alone() -> None:
    high, low, entropy = tiles()
    gradients = []
    for part in ("mean", "loss"):
        made = model()
        conditioned = made.condition(low, entropy)
        noise = torch.zeros(conditioned.shape)
        terms = mean_denoiser_terms(made.diffusion, conditioned, high, torch.tensor([5, 50]), noise)
        terms[part].mean().backward()
        gradients.append(made.network.mean.out.weight.grad)
    assert torch.equal(*gradients) and gradients[0].abs().max() > 0


def test_a_few_steps_lower_every_part() -> None:
    high, low, entropy = tiles()
    made = model()
    optimizer = torch.optim.AdamW(made.network.parameters(), lr=3e-3)
    history = []
    for _ in range(60):
        conditioned = made.condition(low, entropy)
        noise = torch.randn(conditioned.shape, generator=torch.Generator().manual_seed(2))
        t = torch.tensor([20, 60])
        terms = mean_denoiser_terms(made.diffusion, conditioned, high, t, noise)
        history.append({name: term.mean().item() for name, term in terms.items()})
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
    assert history[-1]["mean"] < 0.1 * history[0]["mean"]
    assert history[-1]["deviation"] < history[0]["deviation"]
    # What the denoiser learns grows to unit variance first, as the deviations shrink to fit.
    assert history[-1]["denoiser"] < history[10]["denoiser"]
