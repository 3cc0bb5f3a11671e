"""How tensors by name differ from those that a network wants, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

MAX_NAMES = 8
"""Names listed of each kind of fault; the others are counted."""


def tensor_faults(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Return a line each for tensors that are missing, surplus or misshapen; none where all fit."""
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    faults = {
        "missing": [name for name in wanted if name not in tensors],
        "surplus": [name for name in tensors if name not in wanted],
        "misshapen": misshapen,
    }
    return [f"{kind}: {listed(names)}" for kind, names in faults.items() if names]


def listed(names: Iterable[str]) -> str:
    """Return names with commas; beyond `MAX_NAMES` they are counted."""
    names = list(names)
    rest = [f"and {len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []
    return ", ".join([*names[:MAX_NAMES], *rest])
