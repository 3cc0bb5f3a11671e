from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from superres.diffusion import GaussianDiffusion, loss_terms, make_betas
from superres.sampling import respaced
from support import GOLDEN

PROCESS = np.load(GOLDEN / "process.npz")
LOSSES = np.load(GOLDEN / "losses.npz")
BETAS = make_betas("linear", 4000)


def golden(name: str) -> Tensor:
    return torch.from_numpy(PROCESS[name])


def assert_golden(actual: Tensor, name: str) -> None:
    expected = golden(name)
    torch.testing.assert_close(actual.expand_as(expected), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("row", [0, 1, 2])
def test_noising_and_posterior_are_the_references(row: int) -> None:
    diffusion = GaussianDiffusion(BETAS)
    t = golden("t")[row]
    x_t = diffusion.q_sample(golden("x_start"), t, golden("noise"))
    torch.testing.assert_close(x_t, golden(f"q_sample_{row}"), rtol=1e-6, atol=1e-7)
    posterior = diffusion.q_posterior(golden("x_start"), x_t, t)
    assert_golden(posterior.mean, f"q_posterior_mean_{row}")
    assert_golden(posterior.variance, f"q_posterior_variance_{row}")
    assert_golden(posterior.log_variance, f"q_posterior_log_variance_clipped_{row}")
    epsilon = diffusion.epsilon_from_x0(golden("x_start"), x_t, t)
    torch.testing.assert_close(epsilon, golden(f"eps_from_xstart_{row}"), rtol=1e-5, atol=1e-5)


CASES = sorted(name.removesuffix("_mean_0") for name in PROCESS if name.endswith("_mean_0"))
# Predicting x_{t-1} is the one thing of the reference that nobody uses and superres lacks.
CASES = [case for case in CASES if case.startswith("pmv_") and "PREVIOUS_X" not in case]
NAMES = {
    "EPSILON": "epsilon",
    "START_X": "x0",
    "LEARNED_RANGE": "learned_range",
    "LEARNED": "learned",
    "FIXED_SMALL": "fixed_small",
    "FIXED_LARGE": "fixed_large",
}


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("case", CASES)
def test_predictions_are_the_references(case: str, row: int) -> None:
    words = case.removeprefix("pmv_")
    prediction = next(name for name in ("EPSILON", "START_X") if words.startswith(name))
    variance, clip = words.removeprefix(prediction + "_").rsplit("_", 1)
    diffusion = GaussianDiffusion(BETAS, NAMES[prediction], NAMES[variance])
    output = golden("model_output" if prediction == "EPSILON" else "model_output_start")
    said = diffusion.p_mean_variance(
        lambda *_: output, golden(f"q_sample_{row}"), golden("t")[row], clip == "clip1"
    )
    assert_golden(said.mean, f"{case}_mean_{row}")
    assert_golden(said.variance, f"{case}_variance_{row}")
    assert_golden(said.log_variance, f"{case}_log_variance_{row}")
    assert_golden(said.x0, f"{case}_pred_xstart_{row}")


def tiny(x: Tensor, t: Tensor) -> Tensor:
    weight = torch.from_numpy(LOSSES["tiny_w"])[:, :, None, None]
    bias = torch.from_numpy(LOSSES["tiny_b"])
    told = 0.01 * t.float() / 1000
    return torch.nn.functional.conv2d(x, weight, bias) + told[:, None, None, None]


LOSS_CASES = [
    name
    for name in LOSSES
    if name.split("_full")[0].split("_spaced")[0] in ("mse", "rescaled_mse", "kl", "rescaled_kl")
]


@pytest.mark.parametrize("name", LOSS_CASES)
def test_losses_are_the_references(name: str) -> None:
    spaced = "_spaced_" in name
    kind, rest = name.split("_spaced_" if spaced else "_full_")
    rescale, term = rest.split("_", 1)
    diffusion = GaussianDiffusion(
        BETAS, model_timesteps_scale=0.25 if rescale == "rescale1" else None
    )
    if spaced:
        diffusion = respaced(diffusion, 50)
    terms = loss_terms(
        diffusion,
        tiny,
        torch.from_numpy(LOSSES["x_start"]),
        torch.from_numpy(LOSSES["t_spaced" if spaced else "t"]),
        torch.from_numpy(LOSSES["noise"]),
        kind=kind,
    )
    torch.testing.assert_close(terms[term], torch.from_numpy(LOSSES[name]), rtol=1e-5, atol=1e-6)


def test_loss_cases_were_found() -> None:
    assert len(LOSS_CASES) > 20
    assert len(CASES) >= 6


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
def test_the_target_gives_back_x0(prediction: str) -> None:
    diffusion = GaussianDiffusion(make_betas("cosine", 100), prediction, "fixed_small")
    generator = torch.Generator().manual_seed(0)
    x0, noise = torch.randn(2, 4, 3, 5, 5, generator=generator, dtype=torch.float64)
    t = torch.tensor([0, 10, 50, 98])
    x_t = diffusion.q_sample(x0, t, noise)
    output = diffusion.target(x0, noise, t)
    torch.testing.assert_close(diffusion.x0_from_output(output, x_t, t), x0)
    terms = loss_terms(diffusion, lambda *_: output, x0, t, noise)
    torch.testing.assert_close(terms["loss"], torch.zeros(4, dtype=torch.float64))


def test_the_variational_term_does_not_move_the_mean() -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 100))
    output = torch.randn(2, 6, 4, 4, generator=torch.Generator().manual_seed(0))
    output.requires_grad_()
    x0, t = torch.zeros(2, 3, 4, 4), torch.tensor([3, 60])
    loss_terms(diffusion, lambda *_: output, x0, t, torch.ones_like(x0))["vb"].sum().backward()
    assert output.grad is not None
    assert output.grad[:, :3].abs().max() == 0
    assert output.grad[:, 3:].abs().min() > 0


def test_a_bounded_variance_stays_between_the_fixed_ones() -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 100), variance="bounded_range")
    x = torch.zeros(1, 3, 1, 3)
    values = torch.tensor([-50.0, 0.0, 50.0]).expand(1, 3, 1, 3)
    t = torch.tensor([40])
    said = diffusion.interpret(torch.cat([x, values], 1), x, t).log_variance[0, 0, 0]
    low, high = (
        diffusion.at(name, t, t.double()).item() for name in ("posterior_log_variance", "log_beta")
    )
    torch.testing.assert_close(
        said.double(), torch.tensor([low, (low + high) / 2, high]).double(), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
def test_errors_can_be_weighted_as_those_of_x0(prediction: str) -> None:
    diffusion = GaussianDiffusion(make_betas("cosine", 100), prediction, "fixed_small")
    generator = torch.Generator().manual_seed(0)
    x0, noise, output = torch.randn(3, 2, 3, 5, 5, generator=generator, dtype=torch.float64)
    t = torch.tensor([10, 60])
    loss = loss_terms(diffusion, lambda *_: output, x0, t, noise, weighting="x0")["mse"]
    implied = diffusion.x0_from_output(output, diffusion.q_sample(x0, t, noise), t)
    torch.testing.assert_close(loss, (implied - x0).square().flatten(1).mean(1))
    if prediction == "v":
        plain = loss_terms(diffusion, lambda *_: output, x0, t, noise)["mse"]
        noise_share = torch.from_numpy(1 - diffusion.alphas_cumprod)[t]
        torch.testing.assert_close(loss, plain * noise_share)
    with pytest.raises(ValueError, match="weighting must be one of"):
        loss_terms(diffusion, lambda *_: output, x0, t, noise, weighting="snr")


def test_bad_configurations_are_refused() -> None:
    betas = make_betas("linear", 100)
    with pytest.raises(ValueError, match="prediction must be one of"):
        GaussianDiffusion(betas, prediction="eps")
    with pytest.raises(ValueError, match="variance must be one of"):
        GaussianDiffusion(betas, variance="big")
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        GaussianDiffusion(np.array([0.1, 1.5]))
    x = torch.zeros(1, 3, 2, 2)
    with pytest.raises(ValueError, match="needs 6 output channels, got 3"):
        GaussianDiffusion(betas).p_mean_variance(lambda *_: x, x, torch.tensor([1]))
    with pytest.raises(ValueError, match="loss must be one of"):
        loss_terms(GaussianDiffusion(betas), lambda *_: x, x, torch.tensor([1]), x, kind="l1")
