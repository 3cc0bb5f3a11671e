from __future__ import annotations

import pytest
import torch
from torch import Tensor

from networks import random_network, small_params
from superres.core.precision import Computing, evaluated


@pytest.fixture(scope="module")
def given() -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(2, 3, 16, 16, generator=generator),
        torch.tensor([10, 3000]),
        torch.rand(2, 3, 8, 8, generator=generator) * 2 - 1,
        torch.rand(2, 2, generator=generator),
    )


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return random_network(small_params()).requires_grad_(False)


def test_fp32_is_the_network_itself(network: torch.nn.Module) -> None:
    assert evaluated(network, Computing()) is network


@pytest.mark.parametrize(("precision", "error"), [("bf16", 2e-2), ("fp16", 3e-3)])
def test_half_precision_is_near_but_not_equal(network, given, precision, error) -> None:
    exact = network(*given)
    output = evaluated(network, Computing(precision))(*given)
    assert output.dtype == torch.float32
    far = (output - exact).norm() / exact.norm()
    assert error / 100 < far < error
    assert next(network.parameters()).dtype == torch.float32


class OneConvolution(torch.nn.Module):
    """Enough to be compiled; tests of training compile the whole network."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        return self.convolution(x) + timesteps[:, None, None, None] / 4000


def test_compiled_gives_the_same_and_keeps_it(given) -> None:
    network = OneConvolution().requires_grad_(False)
    exact = network(*given[:2])
    call = evaluated(network, Computing(compiled=True))
    output = call(*given[:2])
    call(given[0] + 1, given[1])  # what a CUDA graph returned would be overwritten by this
    torch.testing.assert_close(output, exact)
    rounded = evaluated(network, Computing("bf16", compiled=True))(*given[:2])
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.1
