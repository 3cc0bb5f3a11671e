"""A GPU that is not there: torch's `meta` device, which computes nothing but shapes.

What waits for a GPU (`.item()`, `.cpu()`, `.numpy()`, boolean indexing) is an error there by
itself. `OneDevice` adds what a GPU does not forgive but `meta` does, and what Apple's `mps` lacks.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import AdamW
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from superres.training import optimizer

META = torch.device("meta")


class OneDevice(TorchDispatchMode):
    """Fails on tensors of two devices in one operation, and counts the copies that wait.

    Args:
        doubles: whether float64 is allowed there, which `mps` does not have.

    Attributes:
        copied: how many tensors were copied to the device, the host waiting for each.
    """

    def __init__(self, doubles: bool = True) -> None:
        super().__init__()
        self.doubles = doubles
        self.copied = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        seen = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        devices = {each.device for each in seen}
        if func is torch.ops.aten._to_copy.default:
            self.copied += len(devices) > 1 and not kwargs.get("non_blocking", False)
        elif func is torch.ops.aten.copy_.default:
            self.copied += len(devices) > 1 and not (args[2] if len(args) > 2 else False)
        else:
            # A number on the host may go along with any operation.
            met = {each.device for each in seen if each.ndim or each.device == META}
            assert len(met) <= 1, f"{func}: tensors of {met}"
        if not self.doubles:
            there = {each.dtype for each in seen if each.device == META}
            assert torch.float64 not in there, f"{func}: float64"
        return result


def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for what knows no `meta`: autocast rounds nothing, AdamW is not fused."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())

    def plain(*given: Any, fused: bool, **named: Any) -> AdamW:
        assert fused
        return AdamW(*given, **named)

    monkeypatch.setattr(optimizer, "AdamW", plain)


def fetching(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Let `.cpu()` return zeros where it would wait for the device, and note the shapes."""
    fetched: list[tuple[int, ...]] = []
    real = Tensor.cpu

    def cpu(tensor: Tensor) -> Tensor:
        if tensor.device != META:
            return real(tensor)
        fetched.append(tuple(tensor.shape))
        return torch.zeros(tensor.shape, dtype=tensor.dtype)

    monkeypatch.setattr(Tensor, "cpu", cpu)
    return fetched
