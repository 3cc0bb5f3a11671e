from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from superres.diffusion import GaussianDiffusion, make_betas
from superres.diffusion.noise import ItemNoise
from superres.sampling import SAMPLERS, sample
from support import GOLDEN

SAMPLING = np.load(GOLDEN / "sampling.npz")


def tiny(x: Tensor, t: Tensor) -> Tensor:
    weight = torch.from_numpy(SAMPLING["tiny_w"])[:, :, None, None]
    bias = torch.from_numpy(SAMPLING["tiny_b"])
    shift = 0.01 * t.float() / 1000
    return torch.nn.functional.conv2d(x, weight, bias) + shift[:, None, None, None]


def stored_noise() -> Callable[[], Tensor]:
    draws = iter([SAMPLING["init_noise"], *SAMPLING["step_noise"]])
    return lambda: torch.from_numpy(next(draws))


@pytest.mark.parametrize(
    ("case", "sampler", "steps", "eta", "scale"),
    [
        ("p_clip1", "ddpm", 10, 0.0, None),
        ("p_clip0", "ddpm", 10, 0.0, None),
        ("p_clip1_rescale1", "ddpm", 10, 0.0, 0.25),
        ("ddim_eta0.0_clip1", "ddim", "ddim10", 0.0, None),
        ("ddim_eta0.5_clip1", "ddim", "ddim10", 0.5, None),
        ("ddim_eta0.0_clip0", "ddim", "ddim10", 0.0, None),
        ("ddim_eta0.5_clip0", "ddim", "ddim10", 0.5, None),
    ],
)
def test_trajectories_are_the_references(
    case: str, sampler: str, steps: int | str, eta: float, scale: float | None
) -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 4000), model_timesteps_scale=scale)
    seen: list[tuple[Tensor, Tensor]] = []
    sample(
        diffusion,
        tiny,
        (2, 3, 16, 16),
        draw=stored_noise(),
        sampler=sampler,
        steps=steps,
        eta=eta,
        clip_denoised="clip1" in case,
        watch=lambda _, x, x0: seen.append((x, x0)),
    )
    assert len(seen) == 10
    for step, (x, x0) in enumerate(seen):
        # Unclipped trajectories reach hundreds: the bound is on their scale. The first x0 are noise
        # times 158 less the prediction times 158: float32 leaves them 5e-5.
        for ours, theirs, bound in (
            (x, f"{case}_samples", 1e-5),
            (x0, f"{case}_pred_xstart", 5e-5),
        ):
            expected = torch.from_numpy(SAMPLING[theirs][step])
            scale = max(1.0, expected.abs().max().item())
            torch.testing.assert_close(ours, expected, rtol=0, atol=bound * scale)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 7])
def test_a_perfect_denoiser_gives_the_data_back(sampler: str, steps: int) -> None:
    data = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(1)) * 2 - 1
    diffusion = GaussianDiffusion(make_betas("cosine", 50), "x0", "fixed_small")
    noise = ItemNoise([1, 2], (3, 6, 6))
    restored = sample(
        diffusion, lambda *_: data, data.shape, draw=noise, sampler=sampler, steps=steps, eta=1.0
    )
    torch.testing.assert_close(restored, data, rtol=0, atol=1e-3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_tile_alone_equals_the_tile_in_a_batch(sampler: str) -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 100))

    def restore(seeds: list[int]) -> Tensor:
        noise = ItemNoise(seeds, (3, 8, 8))
        shape = (len(seeds), 3, 8, 8)
        return sample(diffusion, tiny, shape, draw=noise, sampler=sampler, steps=5, eta=0.5)

    batch = restore([10, 11, 12])
    torch.testing.assert_close(restore([11])[0], batch[1], rtol=1e-5, atol=1e-6)
    assert (batch[0] - batch[1]).abs().max() > 0.01


@pytest.mark.parametrize(
    ("steps", "expected"), [(1, [99]), (2, [99, 0]), (100, list(range(99, -1, -1)))]
)
def test_sampling_begins_at_the_noisiest_timestep(steps: int, expected: list[int]) -> None:
    seen: list[int] = []

    def watch(x: Tensor, t: Tensor) -> Tensor:
        seen.append(int(t[0]))
        return torch.zeros(1, 3, 4, 4)

    diffusion = GaussianDiffusion(make_betas("linear", 100), "x0", "fixed_small")
    sample(diffusion, watch, (1, 3, 4, 4), draw=ItemNoise([0], (3, 4, 4)), steps=steps)
    assert seen == expected


def test_temperature_scales_the_noise_of_the_steps() -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 100), "x0", "fixed_large")
    still = torch.zeros(1, 3, 8, 8)

    def after_one_of_two_steps(temperature: float) -> Tensor:
        seen: list[Tensor] = []
        sample(
            diffusion,
            lambda *_: still,
            still.shape,
            draw=ItemNoise([0], (3, 8, 8)),
            steps=2,
            temperature=temperature,
            watch=lambda _, x, __: seen.append(x),
        )
        return seen[0]

    cold, half, full = (after_one_of_two_steps(value) for value in (0.0, 0.5, 1.0))
    torch.testing.assert_close(half - cold, (full - cold) / 2)
    assert (full - cold).std() > 0.1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_temperature_scales_what_a_sampler_without_noise_begins_with(sampler: str) -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 100), "x0", "fixed_large")
    begun: list[Tensor] = []

    def denoiser(x: Tensor, _: Tensor) -> Tensor:
        begun.append(x.clone())
        return torch.zeros_like(x)

    for temperature in (1.0, 0.5):
        noise = ItemNoise([0], (3, 4, 4))
        options = {"sampler": sampler, "steps": 2, "temperature": temperature}
        sample(diffusion, denoiser, (1, 3, 4, 4), draw=noise, **options)
    factor = 0.5 if SAMPLERS[sampler].noise == "none" else 1.0
    torch.testing.assert_close(begun[len(begun) // 2], factor * begun[0], rtol=0, atol=0)


class Waits(TorchDispatchMode):
    """Notes every operation that has to know a tensor's values, for which a GPU would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (
            torch.ops.aten._local_scalar_dense.default,
            torch.ops.aten.nonzero.default,
            torch.ops.aten.is_nonzero.default,
        ):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_step_waits_for_the_device(sampler: str) -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 100))
    noise = ItemNoise([1, 2], (3, 8, 8))
    with Waits() as waits:
        sample(
            diffusion, tiny, (2, 3, 8, 8), draw=noise, sampler=sampler, steps=4, eta=0.5,
            clip_denoised=lambda x: x.clamp(-1, 1),
        )  # fmt: skip
        assert waits.seen == []
        torch.ones(1).item()
        assert waits.seen


def test_errors() -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 100))
    noise = ItemNoise([0], (3, 4, 4))
    with pytest.raises(ValueError, match="sampler must be one of ddpm, ddim"):
        sample(diffusion, tiny, (1, 3, 4, 4), draw=noise, sampler="euler")
    with pytest.raises(ValueError, match="at most 100 would work"):
        sample(diffusion, tiny, (1, 3, 4, 4), draw=noise, steps=101)
    with pytest.raises(ValueError, match="the noise is"):
        sample(diffusion, tiny, (2, 3, 4, 4), draw=noise)
