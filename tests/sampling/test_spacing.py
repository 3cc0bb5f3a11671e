from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superres.core.errors import SuperresError
from superres.diffusion import GaussianDiffusion, make_betas
from superres.sampling import space_timesteps
from superres.sampling.spacing import SPACINGS, check_steps, choose_timesteps, respaced
from support import GOLDEN

RESPACE = np.load(GOLDEN / "respace.npz")


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


@given(st.sampled_from(["linear", *SPACINGS]), st.sampled_from(["linear", "cosine"]), st.data())
def test_every_spacing_gives_that_many_timesteps_from_the_noisiest(
    spacing: str, schedule: str, data: st.DataObject
) -> None:
    timesteps = data.draw(st.integers(21, 300))
    steps = data.draw(st.integers(1, timesteps))
    alphas_cumprod = np.cumprod(1 - make_betas(schedule, timesteps))
    kept = choose_timesteps(alphas_cumprod, steps, spacing)
    assert kept == sorted(set(kept))
    assert len(kept) == steps
    assert kept[0] >= 0
    assert kept[-1] == timesteps - 1


def test_what_the_spacings_look_like() -> None:
    alphas_cumprod = np.cumprod(1 - make_betas("linear", 1000))
    assert choose_timesteps(alphas_cumprod, 5, "trailing") == [199, 399, 599, 799, 999]
    assert choose_timesteps(alphas_cumprod, 5, "quadratic") == [0, 62, 250, 562, 999]
    karras = choose_timesteps(alphas_cumprod, 10, "karras")
    ratios = np.sqrt(1 / alphas_cumprod - 1)[karras] ** (1 / 7)
    assert karras[0] == 0
    # Even in the seventh root of the ratio of noise to signal, as far as whole timesteps allow.
    np.testing.assert_allclose(np.diff(ratios), np.diff(ratios).mean(), rtol=0.15)


@pytest.mark.parametrize(
    ("steps", "spacing", "message"),
    [
        (5, "even", "trailing, karras, angle, trailing_angle, got 'even'"),
        (101, "karras", "from 1 to 100, got 101"),
        (0, "trailing", "from 1 to 100, got 0"),
        ("ddim10", "quadratic", "from 1 to 100, got 'ddim10'"),
    ],
)
def test_impossible_spacings(steps: Any, spacing: str, message: str) -> None:
    alphas_cumprod = np.cumprod(1 - make_betas("linear", 100))
    with pytest.raises(ValueError, match=message):
        choose_timesteps(alphas_cumprod, steps, spacing)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_respaced_process_is_the_references(schedule: str) -> None:
    kept = respaced(GaussianDiffusion(make_betas(schedule, 4000)), 50)
    name = f"{schedule}_4000_list_50"
    np.testing.assert_allclose(kept.betas, RESPACE[f"respaced_betas_{name}"], atol=1e-14)
    np.testing.assert_allclose(
        kept.alphas_cumprod, RESPACE[f"respaced_alphas_cumprod_{name}"], atol=1e-14
    )
    np.testing.assert_array_equal(kept.timestep_map, RESPACE[f"timestep_map_{name}"])


@pytest.mark.parametrize(("scale", "name"), [(None, "False"), (0.25, "True")])
def test_the_network_sees_the_references_timesteps(scale: float | None, name: str) -> None:
    import torch  # noqa: PLC0415

    diffusion = GaussianDiffusion(make_betas("linear", 4000), model_timesteps_scale=scale)
    seen = respaced(diffusion, 50).model_timesteps(torch.arange(50)).numpy()
    np.testing.assert_array_equal(seen, RESPACE[f"model_timesteps_rescale_{name}"])
    assert seen.dtype == RESPACE[f"model_timesteps_rescale_{name}"].dtype


def test_keeping_all_steps_changes_nothing() -> None:
    diffusion = GaussianDiffusion(make_betas("cosine", 200))
    np.testing.assert_allclose(respaced(diffusion, 200).betas, diffusion.betas, atol=1e-11)


@pytest.mark.parametrize("spacing", ["linear", *SPACINGS])
def test_marginals_stay_whatever_is_kept(spacing: str) -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 4000))
    kept = respaced(diffusion, 20, spacing)
    np.testing.assert_allclose(
        kept.alphas_cumprod, diffusion.alphas_cumprod[kept.timestep_map], rtol=1e-12
    )


def test_angles_are_even() -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 4000))
    kept = respaced(diffusion, 9, "angle")
    angles = np.arccos(np.sqrt(kept.alphas_cumprod))
    assert kept.timestep_map[0] == 0 and kept.timestep_map[-1] == 3999
    np.testing.assert_allclose(np.diff(angles), np.diff(angles).mean(), rtol=0.01)


def test_more_steps_than_timesteps_are_refused_by_the_name_of_the_option() -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 100))
    for steps in (1, 100):
        check_steps("sampler.steps", steps, diffusion)
    for steps in (0, 101):
        with pytest.raises(
            SuperresError, match=rf"^sampler\.steps: must be between 1 and 100, .*, got {steps}$"
        ):
            check_steps("sampler.steps", steps, diffusion)


def test_trailing_angle_ends_a_step_before_clean() -> None:
    alphas = np.cumprod(1 - make_betas("linear", 4000))
    angles = np.degrees(np.arccos(np.sqrt(alphas[choose_timesteps(alphas, 4, "trailing_angle")])))
    assert np.allclose(angles, [22.5, 45, 67.5, 90], atol=0.5)
    assert choose_timesteps(alphas, 1, "trailing_angle") == [3999]
