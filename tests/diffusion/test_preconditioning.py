from __future__ import annotations

import torch

from superres.diffusion.preconditioning import split_luma, wiener


def output(added: torch.Tensor, luma_variance: float, chroma_variance: float) -> torch.Tensor:
    passed = torch.full_like(added, 7.0)
    logs = torch.tensor([luma_variance, chroma_variance]).log()[None, :, None, None]
    return torch.cat([added, passed, logs.expand(len(added), -1, *added.shape[2:])], dim=1)


def test_the_linear_estimate_is_the_best_there_is_for_gaussian_signals() -> None:
    generator = torch.Generator().manual_seed(0)
    signal, noise = torch.randn(2, 1, 3, 256, 256, generator=generator)
    luma, chroma = split_luma(signal)
    x0 = 2 * luma + 0.5 * chroma
    alpha = torch.full((1, 1, 1, 1), 0.6)
    x_t = alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise
    nothing = torch.zeros_like(x0)

    def error(luma_variance: float, chroma_variance: float) -> float:
        estimate = wiener(output(nothing, luma_variance, chroma_variance), x_t, alpha)[:, :3]
        return (estimate - x0).square().mean().item()

    best = error(4.0, 0.25)
    assert best < error(3.0, 0.25)
    assert best < error(5.5, 0.25)
    assert best < error(4.0, 0.15)
    assert best < error(4.0, 0.4)


def test_clean_input_is_copied_and_noise_ignored() -> None:
    generator = torch.Generator().manual_seed(0)
    x_t, added = torch.randn(2, 1, 3, 8, 8, generator=generator)
    x_t, added = x_t[None][0], added[None][0]
    clean = wiener(output(added, 1.0, 1.0), x_t, torch.full((1, 1, 1, 1), 1 - 1e-7))
    torch.testing.assert_close(clean[:, :3], x_t, rtol=0, atol=5e-3)
    noisy = wiener(output(added, 1.0, 1.0), x_t, torch.full((1, 1, 1, 1), 1e-7))
    torch.testing.assert_close(noisy[:, :3], added, rtol=0, atol=5e-3)
    assert (noisy[:, 3:] == 7).all()
    assert noisy.shape == (1, 6, 8, 8)
