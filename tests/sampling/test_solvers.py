"""Solvers against a process whose every expectation is known: Gaussian data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from superres.diffusion import GaussianDiffusion, make_betas
from superres.diffusion.noise import ItemNoise
from superres.sampling import SAMPLERS, respaced, sample
from superres.sampling.samplers import evaluations
from support import GOLDEN

GOLDEN_SOLVERS = np.load(GOLDEN / "solvers.npz")
MEAN, DEVIATION = 0.3, 0.4
DIFFUSION = GaussianDiffusion(make_betas("linear", 1000), "x0", "fixed_small")


def best_denoiser(x: Tensor, t: Tensor) -> Tensor:
    """Return the posterior mean of x0 where x0 is normal with MEAN and DEVIATION."""
    cumulative = torch.from_numpy(DIFFUSION.alphas_cumprod)[t].to(x.dtype)[:, None, None, None]
    gain = cumulative.sqrt() * DEVIATION**2 / (cumulative * DEVIATION**2 + 1 - cumulative)
    return MEAN + gain * (x - cumulative.sqrt() * MEAN)


def along_the_flow(x: Tensor) -> Tensor:
    """Return where the probability flow takes x_T: every quantile to the same quantile."""
    last = DIFFUSION.alphas_cumprod[-1]
    spread = np.sqrt(last * DEVIATION**2 + 1 - last)
    return MEAN + DEVIATION * (x - np.sqrt(last) * MEAN) / spread


def draw_once(x: Tensor) -> Callable[[], Tensor]:
    return lambda: x


def error(sampler: str, steps: int) -> float:
    x = torch.linspace(-2, 2, 24, dtype=torch.float64).reshape(1, 1, 4, 6)
    restored = sample(
        DIFFUSION,
        best_denoiser,
        x.shape,
        draw=draw_once(x),
        sampler=sampler,
        steps=steps,
        spacing="quadratic",
        clip_denoised=False,
    )
    return (restored - along_the_flow(x)).abs().max().item()


def counted_evaluations(sampler: str, steps: int) -> int:
    made: list[int] = []

    def counted(x: Tensor, t: Tensor) -> Tensor:
        made.append(1)
        return best_denoiser(x, t)

    noise = ItemNoise([0], (1, 4, 4))
    sample(DIFFUSION, counted, (1, 1, 4, 4), draw=noise, sampler=sampler, steps=steps)
    return len(made)


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "heun"])
def test_second_order_solvers_are_far_closer_than_first_order(sampler: str) -> None:
    # At equal evaluations: heun makes two per step.
    steps = 20 if sampler == "heun" else 40
    assert error(sampler, steps) < 0.35 * error("ddim", 40)


@pytest.mark.parametrize(("sampler", "order"), [("ddim", 1), ("dpmpp_2m", 2), ("heun", 2)])
def test_errors_fall_with_the_order(sampler: str, order: int) -> None:
    # 10 to 40 steps: the error of a method of order p falls 4^p times. Later, what is left of the
    # noise at the cleanest timestep is all that remains.
    ratio = error(sampler, 10) / error(sampler, 40)
    assert 0.6 * order < np.log(ratio) / np.log(4) < 1.7 * order


def test_the_stochastic_solver_keeps_mean_and_deviation() -> None:
    noise = ItemNoise(range(64), (1, 32, 32))

    def moments(sampler: str, steps: int) -> tuple[float, float]:
        x = sample(
            DIFFUSION,
            best_denoiser,
            (64, 1, 32, 32),
            draw=noise,
            sampler=sampler,
            steps=steps,
            spacing="quadratic",
            clip_denoised=False,
        )
        return x.mean().item(), x.std().item()

    mean, deviation = moments("dpmpp_2m_sde", 40)
    assert mean == pytest.approx(MEAN, abs=0.01)
    assert deviation == pytest.approx(DEVIATION, rel=0.03)
    # Ancestral sampling with the same evaluations is further off: that is what the order buys.
    assert abs(moments("ddpm", 40)[1] - DEVIATION) > 2 * abs(deviation - DEVIATION)


@pytest.mark.parametrize("eta", [0.0, 0.5])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_noise_is_drawn_on_the_way_as_the_samplers_row_says(sampler: str, eta: float) -> None:
    drawn: list[int] = []

    def draw() -> Tensor:
        drawn.append(1)
        return torch.ones(1, 1, 4, 4)

    sample(DIFFUSION, best_denoiser, (1, 1, 4, 4), draw=draw, sampler=sampler, steps=5, eta=eta)
    per_step = {"always": 1, "none": 0, "eta": int(eta > 0)}[SAMPLERS[sampler].noise]
    assert len(drawn) == 1 + 4 * per_step


def test_the_rows_of_known_samplers() -> None:
    assert {name: row.noise for name, row in SAMPLERS.items()} == {
        "ddpm": "always",
        "ddim": "eta",
        "dpmpp_2m": "none",
        "dpmpp_2m_sde": "always",
        "heun": "none",
    }


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_evaluations_are_those_documented(sampler: str) -> None:
    for steps in (1, 8):
        assert counted_evaluations(sampler, steps) == evaluations(sampler, steps)
    assert evaluations("heun", 8) == 15


def test_temperature_zero_makes_the_stochastic_solver_deterministic() -> None:
    def restore(seed: int, temperature: float) -> Tensor:
        start = ItemNoise([0], (1, 4, 4))()
        rest = ItemNoise([seed], (1, 4, 4))
        draws = iter([start, *(rest() for _ in range(6))])
        return sample(
            DIFFUSION,
            best_denoiser,
            (1, 1, 4, 4),
            draw=lambda: next(draws),
            sampler="dpmpp_2m_sde",
            steps=5,
            temperature=temperature,
        )

    torch.testing.assert_close(restore(1, 0.0), restore(2, 0.0))
    assert (restore(1, 1.0) - restore(2, 1.0)).abs().max() > 1e-3


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "dpmpp_2m_sde"])
def test_trajectories_are_those_of_diffusers(sampler: str) -> None:
    """Made with DPMSolverMultistepScheduler of diffusers 0.42.1, whose tables are float32.

    Settings: trailing, solver_type midpoint, final_sigmas_type zero, euler_at_final.
    """
    weight = torch.from_numpy(GOLDEN_SOLVERS["weight"])

    def network(x: Tensor, t: Tensor) -> Tensor:
        mixed = torch.einsum("ij,bjhw->bihw", weight, x)
        return mixed.tanh() * (1 + t.view(-1, 1, 1, 1) / 2000) * 0.7

    draws = iter([GOLDEN_SOLVERS["start"], *GOLDEN_SOLVERS["noise"]])
    seen: list[Tensor] = []
    sample(
        DIFFUSION,
        network,
        (1, 3, 4, 4),
        draw=lambda: torch.from_numpy(next(draws)),
        sampler=sampler,
        steps=10,
        spacing="trailing",
        clip_denoised=False,
        watch=lambda _, x, __: seen.append(x),
    )
    expected = torch.from_numpy(GOLDEN_SOLVERS[sampler])
    torch.testing.assert_close(torch.stack(seen), expected, rtol=0, atol=5e-6)
    kept = respaced(DIFFUSION, 10, "trailing").timestep_map
    assert kept == GOLDEN_SOLVERS["timesteps"].tolist()[::-1]
