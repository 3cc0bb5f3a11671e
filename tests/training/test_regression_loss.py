"""What the network of two parts minimises."""

from __future__ import annotations

import math

import pytest
import torch

from model.test_signal_space import model, tiles
from superres.model.signal_space import luma
from superres.networks.mean_denoiser import MeanConditions
from superres.training.config import LossParams
from superres.training.data import TrainingBatch
from superres.training.objectives import make_objective
from superres.training.regression_loss import DEVIATION_WEIGHT, mean_denoiser_terms
from support import tiny_mean_denoiser_params


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


def test_by_the_root_easy_tiles_count_for_more() -> None:
    _, low, entropy = tiles()
    made = model()
    conditioned = made.condition(low, entropy)
    mean = MeanConditions(*conditioned.conditions).mean.detach()
    errors = torch.tensor([1 / 127.5, 40 / 127.5]).view(2, 1, 1, 1)  # 1 and 40 levels everywhere
    t, noise = torch.tensor([10, 90]), torch.zeros(conditioned.shape)
    pulls = {}
    for kind in ("mse", "rmse"):
        shifted = (mean + errors).requires_grad_()
        terms = mean_denoiser_terms(made.diffusion, conditioned, shifted, t, noise, mean_error=kind)
        (pull,) = torch.autograd.grad(terms["mean"].sum(), shifted)
        pulls[kind] = pull.square().mean((1, 2, 3)).sqrt()
        if kind == "rmse":
            expected = 0.4 * (25 * errors.flatten().square() + 1e-4).sqrt()
            assert torch.allclose(terms["mean"], expected, rtol=1e-4)
    assert pulls["mse"][1] / pulls["mse"][0] == pytest.approx(40, rel=1e-3)
    assert 1 < pulls["rmse"][1] / pulls["rmse"][0] < 1.1


@pytest.mark.parametrize("kind", ["mse", "rmse"])
def test_the_params_say_what_the_mean_learns_by(kind: str) -> None:
    high, low, entropy = tiles()
    nothing = torch.zeros(2, dtype=torch.bool)
    noise, uniform = torch.zeros(2, 3, *high.shape[-2:]), torch.zeros(2, 2, dtype=torch.float64)
    batch = TrainingBatch(high, low, entropy, noise, nothing, nothing, uniform)
    loss = tiny_mean_denoiser_params()["train"]["loss"] | {"mean_error": kind}
    made, t = model(), torch.tensor([10, 90])
    found = make_objective(made, LossParams.model_validate(loss), "fp32").terms(batch, t)["mean"]
    squares = 25 * (high - made.condition(low, entropy).conditions[0]).square().mean((1, 2, 3))
    expected = squares if kind == "mse" else 0.4 * (squares + 1e-4).sqrt()
    assert torch.allclose(found, expected, rtol=1e-5)


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


def test_a_denoiser_may_learn_from_some_of_the_tiles() -> None:
    high, low, entropy = tiles()
    made = model()
    noise = torch.randn(2, 1, *high.shape[-2:], generator=torch.Generator().manual_seed(2))
    t = torch.tensor([10, 90])

    def terms(denoised: int | None) -> dict[str, torch.Tensor]:
        conditioned = made.condition(low, entropy)
        return mean_denoiser_terms(made.diffusion, conditioned, high, t, noise, denoised)

    all_of_them, one = terms(None), terms(1)
    assert torch.equal(one["mean"], all_of_them["mean"])
    assert torch.equal(one["deviation"], all_of_them["deviation"])
    # Twice the first tile's: the mean over both tiles is that of the first one alone.
    assert one["denoiser"].tolist() == [2 * all_of_them["denoiser"][0].item(), 0]


@pytest.mark.parametrize(("share", "seen"), [(1.0, 4), (0.5, 2), (0.01, 1)])
def test_the_share_of_tiles_holds_where_something_is_learned(share: float, seen: int) -> None:
    made = model()
    high, low, entropy = (torch.cat([part, part]) for part in tiles())
    nothing = torch.zeros(4, dtype=torch.bool)
    noise = torch.zeros(4, 3, *high.shape[-2:])
    uniform = torch.zeros(4, 2, dtype=torch.float64)
    batch = TrainingBatch(high, low, entropy, noise, nothing, nothing, uniform)
    loss = tiny_mean_denoiser_params()["train"]["loss"] | {"denoiser_share": share}
    objective = make_objective(made, LossParams.model_validate(loss), "fp32")
    t = torch.tensor([10, 90, 20, 50])
    assert torch.count_nonzero(objective.terms(batch, t)["denoiser"]) == seen
    with torch.no_grad():
        assert torch.count_nonzero(objective.terms(batch, t)["denoiser"]) == 4
