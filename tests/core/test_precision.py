from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from networks import random_network, small_params
from superres.core.precision import (
    ROUNDED,
    Computing,
    evaluated,
    keep_rounded,
    slower_than_fp32,
)


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


class Roundings(TorchDispatchMode):
    """Counts the weights that are rounded."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.known = {weight.data_ptr() for weight in network.parameters()}
        self.weights = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._to_copy.default and args[0].dtype == torch.float32:
            self.weights += args[0].data_ptr() in self.known
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_no_evaluation_rounds_weights_that_are_kept_rounded(given, precision) -> None:
    """They were rounded in each of them; norms stay as they are, and so does the result."""
    network, how = random_network(small_params()).requires_grad_(False), Computing(precision)
    exact = network(*given)
    with Roundings(network) as before:
        expected = evaluated(network, how)(*given)
    layers = [each for each in network.modules() if isinstance(each, ROUNDED)]
    assert before.weights >= 2 * len(layers) - 2  # weights and biases; the first in fp32
    keep_rounded(network, how)
    with Roundings(network) as after:
        output = evaluated(network, how)(*given)
    assert after.weights == 0
    # Not equal, since on a CPU enlarging adds weights up before they are rounded.
    assert (output - exact).norm() < 1.1 * (expected - exact).norm()
    assert network.out[0].weight.dtype == torch.float32


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


@pytest.mark.parametrize(
    ("precision", "device", "abilities", "slower"),
    [
        ("bf16", "cpu", {"avx2": True, "amx_bf16": False, "avx512_bf16": False}, True),
        ("bf16", "cpu", {"avx2": True, "amx_bf16": True, "avx512_bf16": False}, False),
        ("fp16", "cpu", {"avx2": True, "amx_bf16": True}, True),
        ("fp32", "cpu", {"avx2": True}, False),
        ("bf16", "cuda", {"avx2": True}, False),
    ],
)
def test_a_precision_that_the_processor_lacks_is_known(
    precision, device, abilities, slower, monkeypatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    assert slower_than_fp32(precision, torch.device(device)) is slower
