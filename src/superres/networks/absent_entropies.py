"""Weights of networks whose inputs for some entropies are always the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor


def absorbed(
    weights: Mapping[str, Tensor],
    inputs: Mapping[str, tuple[int, int]],
    places: Collection[int],
    value: float,
) -> dict[str, Tensor]:
    """Return weights without the inputs of some entropies, which the biases take in.

    A convolution's padding is then taken for such an input too: its outermost pixels differ.

    Args:
        weights: by name; beside each `x.weight` of `inputs` there is `x.bias`.
        inputs: which inputs are entropies, as `Network.entropy_inputs` returns them.
        places: of the entropies that go.
        value: of their inputs, always.
    """
    changed = dict(weights)
    for name, (first, width) in inputs.items():
        weight = weights[name]
        gone = torch.zeros(weight.shape[1], dtype=torch.bool)
        for place in places:
            gone[first + place * width : first + (place + 1) * width] = True
        bias = name.removesuffix("weight") + "bias"
        shift = value * weight[:, gone].double().flatten(1).sum(dim=1)
        changed[bias] = (weights[bias].double() + shift).to(weights[bias].dtype)
        changed[name] = weight[:, ~gone].contiguous()
    return changed


def settled(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return weights without an embedding that has no inputs left, which the modulations take in.

    Args:
        weights: by name, with `embed.0` and `embed.2`, each before a SiLU, below `prefix`.
        prefix: of the embedding and of the layers `modulation` that read it.
    """
    first = F.silu(weights[f"{prefix}embed.0.bias"])
    embedding = F.silu(
        F.linear(first, weights[f"{prefix}embed.2.weight"], weights[f"{prefix}embed.2.bias"])
    )
    changed = {name: one for name, one in weights.items() if not name.startswith(f"{prefix}embed.")}
    for name in [name for name in changed if name.startswith(prefix)]:
        if name.endswith("modulation.weight"):
            bias = name.removesuffix("weight") + "bias"
            changed[bias] = changed[bias] + weights[name] @ embedding
            changed[name] = torch.zeros_like(weights[name])
    return changed
