"""How a network is evaluated where nothing is trained: in which precision, compiled or as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""What products and convolutions are computed in; norms and outputs are fp32."""
ROUNDED = (nn.Conv1d, nn.Conv2d, nn.Linear)
"""Layers whose weights autocast rounds."""


def slower_than_fp32(precision: str, device: torch.device) -> bool:
    """Return whether a precision is emulated, since the processor cannot multiply in it.

    Args:
        precision: a key of `PRECISIONS`.
        device: only CPUs are looked at.
    """
    if device.type != "cpu" or precision == "fp32":
        return False
    abilities = torch.cpu.get_capabilities()  # such as amx_bf16, avx512_bf16
    return not any(there for name, there in abilities.items() if precision in name)


def remark(option: str, precision: str, device: torch.device) -> str | None:
    """Return what to say of a precision that costs time on this processor instead of saving it.

    Args:
        option: what asked for it: a key of params.yaml, or a flag.
        precision: a key of `PRECISIONS`.
        device: that computes.
    """
    if not slower_than_fp32(precision, device):
        return None
    return f"{option}: this processor has no instructions for {precision}; fp32 will be faster"


class Computing(NamedTuple):
    """How a network is evaluated."""

    precision: str = "fp32"
    """A key of `PRECISIONS`."""
    compiled: bool = False
    """By torch.compile: fused kernels, on a GPU launched together as one CUDA graph. It takes a
    minute or two for each shape of picture, and pays where many small batches follow."""


def keep_rounded(network: nn.Module, how: Computing) -> None:
    """Round in place, once, the weights that autocast would round anew in every evaluation.

    For a network that is evaluated by `evaluated` and trained no more: autocast remembers what it
    has rounded for weights with gradients alone, and not beyond one evaluation.
    """
    dtype = PRECISIONS[how.precision]
    if dtype is not None:
        for module in network.modules():
            if isinstance(module, ROUNDED):
                module.to(dtype)


def evaluated(network: Callable[..., Tensor], how: Computing) -> Callable[..., Tensor]:
    """Return a network as a function of the same arguments, evaluated as `how` says.

    Its output is fp32, and the caller's own.
    """
    if how == Computing():
        return network
    dtype = PRECISIONS[how.precision]
    call = (
        torch.compile(network, mode="reduce-overhead", dynamic=False) if how.compiled else network
    )

    def evaluate(x: Tensor, *conditions: Tensor | None) -> Tensor:
        if how.compiled:
            torch.compiler.cudagraph_mark_step_begin()
        with torch.autocast(x.device.type, dtype, enabled=dtype is not None):
            output = call(x, *conditions)
        # The next evaluation overwrites what a CUDA graph returned.
        return output.to(torch.float32, copy=how.compiled)

    return evaluate
