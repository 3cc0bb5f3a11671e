"""How a network is evaluated where nothing is trained: in which precision, compiled or as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""What products and convolutions are computed in; weights, norms and outputs are fp32."""


class Computing(NamedTuple):
    """How a network is evaluated."""

    precision: str = "fp32"
    """A key of `PRECISIONS`."""
    compiled: bool = False
    """By torch.compile: fused kernels, on a GPU launched together as one CUDA graph. It takes a
    minute or two for each shape of picture, and pays where many small batches follow."""


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
