from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superres.diffusion import GaussianDiffusion, make_betas, space_timesteps
from support import GOLDEN

SCHEDULES = np.load(GOLDEN / "schedules.npz")
RESPACE = np.load(GOLDEN / "respace.npz")


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
            np.testing.assert_allclose(diffusion.table(ours), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "timesteps", "spacing"),
    [
        ("list_50", 4000, 50),
        ("list_25", 4000, [25]),
        ("list_100", 4000, "100"),
        ("list_10_15_25", 1000, [10, 15, 25]),
        ("ddim50", 4000, "ddim50"),
        ("ddim25", 1000, "ddim25"),
        ("list_1", 4000, 1),
        ("10_15_25", 4000, "10,15,25"),
    ],
)
def test_respacing_chooses_the_references_timesteps(
    name: str, timesteps: int, spacing: Any
) -> None:
    np.testing.assert_array_equal(
        space_timesteps(timesteps, spacing), RESPACE[f"steps_{timesteps}_{name}"]
    )


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_respaced_process_is_the_references(schedule: str) -> None:
    respaced = GaussianDiffusion(make_betas(schedule, 4000)).respaced(50)
    name = f"{schedule}_4000_list_50"
    np.testing.assert_allclose(respaced.betas, RESPACE[f"respaced_betas_{name}"], atol=1e-14)
    np.testing.assert_allclose(
        respaced.alphas_cumprod, RESPACE[f"respaced_alphas_cumprod_{name}"], atol=1e-14
    )
    np.testing.assert_array_equal(respaced.timestep_map, RESPACE[f"timestep_map_{name}"])


@pytest.mark.parametrize(("scale", "name"), [(None, "False"), (0.25, "True")])
def test_the_network_sees_the_references_timesteps(scale: float | None, name: str) -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 4000), model_timesteps_scale=scale)
    respaced = diffusion.respaced(50)
    seen = respaced.model_timesteps(_arange(50)).numpy()
    np.testing.assert_array_equal(seen, RESPACE[f"model_timesteps_rescale_{name}"])
    assert seen.dtype == RESPACE[f"model_timesteps_rescale_{name}"].dtype


def _arange(count: int) -> Any:
    import torch  # noqa: PLC0415

    return torch.arange(count)


def test_rounding_is_to_even_as_in_the_reference() -> None:
    assert {666, 3332} <= set(space_timesteps(4000, 25))
    assert {1999, 3333} <= set(space_timesteps(4000, 37))


@given(st.integers(1, 400), st.data())
def test_respacing_properties(timesteps: int, data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, timesteps))
    kept = space_timesteps(timesteps, steps)
    assert kept == sorted(set(kept))
    assert len(kept) == steps
    assert kept[0] == 0
    assert kept[-1] == (timesteps - 1 if steps > 1 else 0)
    assert space_timesteps(timesteps, timesteps) == list(range(timesteps))


def test_keeping_all_steps_changes_nothing() -> None:
    diffusion = GaussianDiffusion(make_betas("cosine", 200))
    np.testing.assert_allclose(diffusion.respaced(200).betas, diffusion.betas, atol=1e-11)


@pytest.mark.parametrize(
    ("spacing", "message"),
    [
        (101, "at most 100 would work"),
        ([60, 10], "at most 50 would work"),
        ("ddim37", "34 or 50 would work"),
        ("ddimx", "like 50"),
        ("a,b", "like 50"),
        (0, "positive"),
        ([], "positive"),
        (-3, "positive"),
    ],
)
def test_impossible_respacings_say_what_would_work(spacing: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space_timesteps(100, spacing)


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
