from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from superres.diffusion import GaussianDiffusion, make_betas
from superres.diffusion.noise import ItemNoise
from superres.diffusion.prediction import Request, Requests, drive, posterior_mean, predict

X = torch.ones(2, 3, 4, 4)


def asking_twice(x: Tensor) -> Requests[float]:
    first = yield Request(x, torch.tensor([7]))
    second = yield Request(first, torch.tensor([3]))
    return second.sum().item()


def test_requests_are_answered_in_turn_and_the_result_returned() -> None:
    seen: list[int] = []

    def network(x: Tensor, t: Tensor) -> Tensor:
        seen.append(int(t))
        return 2 * x

    assert drive(asking_twice(X), network) == 4 * X.numel()
    assert seen == [7, 3]


def test_errors_of_the_network_and_of_who_asked_are_raised() -> None:
    def fails(x: Tensor, t: Tensor) -> Tensor:
        raise ZeroDivisionError("network")

    with pytest.raises(ZeroDivisionError, match="network"):
        drive(asking_twice(X), fails)
    diffusion = GaussianDiffusion(make_betas("linear", 100))
    asked = predict(diffusion, X, torch.tensor([5, 6]))
    with pytest.raises(ValueError, match="needs 6 output channels, got 3"):
        drive(asked, lambda x, _: x)


def test_the_posterior_mean_is_the_x0_of_one_evaluation_at_the_noisiest_timestep() -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 100), "epsilon", "fixed_small")
    seen: list[list[int]] = []

    def network(x: Tensor, t: Tensor) -> Tensor:
        seen.append(t.tolist())
        return 0.1 * x

    t = torch.tensor([99, 99])
    expected = diffusion.p_mean_variance(network, X, t, clip_denoised=False).x0
    seen.clear()
    mean = drive(posterior_mean(diffusion, X, clip_denoised=False), network)
    assert torch.equal(mean, expected) and seen == [[99, 99]]


def test_predictions_are_clipped_as_asked() -> None:
    diffusion = GaussianDiffusion(make_betas("linear", 100), "x0", "fixed_small")
    large = torch.full((1, 3, 4, 4), 5.0)

    def restore(clip: bool | Callable[[Tensor], Tensor]) -> float:
        noise = ItemNoise([0], (3, 4, 4))()
        return drive(posterior_mean(diffusion, noise, clip), lambda *_: large).max().item()

    assert restore(True) == 1
    assert restore(False) == 5
    assert restore(lambda x: x.clamp(max=2)) == 2
