from __future__ import annotations

import numpy as np
import pytest
import torch

from superres.diffusion import GaussianDiffusion, make_betas
from support import GOLDEN

SCHEDULES = np.load(GOLDEN / "schedules.npz")


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("timesteps", [1000, 4000])
def test_betas_are_the_references(schedule: str, timesteps: int) -> None:
    betas = make_betas(schedule, timesteps)
    name = f"{schedule}_{timesteps}"
    np.testing.assert_allclose(betas, SCHEDULES[f"{name}_betas"], rtol=0, atol=1e-15)
    diffusion = GaussianDiffusion(betas)
    np.testing.assert_allclose(
        diffusion.alphas_cumprod, SCHEDULES[f"{name}_alphas_cumprod"], atol=1e-14
    )
    for ours, theirs in {
        "posterior_variance": "posterior_variance",
        "posterior_log_variance": "posterior_log_variance_clipped",
        "posterior_x0": "posterior_mean_coef1",
        "posterior_xt": "posterior_mean_coef2",
        "recip": "sqrt_recip_alphas_cumprod",
        "recip_m1": "sqrt_recipm1_alphas_cumprod",
    }.items():
        if name == "linear_4000":
            expected = SCHEDULES[f"{name}_{theirs}"]
            every = torch.arange(timesteps)
            actual = diffusion.at(ours, every, every.double()).numpy()
            np.testing.assert_allclose(actual, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("schedule", "timesteps", "message"),
    [
        ("sigmoid", 100, "linear, cosine"),
        ("linear", 20, "at least 21"),
        ("cosine", 0, "at least 1"),
    ],
)
def test_impossible_schedules(schedule: str, timesteps: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_betas(schedule, timesteps)
    assert make_betas("linear", 21).max() < 1
