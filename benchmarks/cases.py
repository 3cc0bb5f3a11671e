"""Networks that are measured, by name, and inputs for them; needs nothing but torch.

Params are plain namespaces, not `ModelParams`, so that a machine with torch alone can run this. A
test compares the recipes with their presets and the default with presets/small-unet.yaml.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from superres.networks.conditional_unet import SuperResUNet

ENTROPIES = 2
SCALE = 2

_GUIDED: dict[str, Any] = {
    "channels": 64,
    "channel_mult": (1, 2, 3, 4),
    "blocks": 2,
    "attention": (4, 8),
    "middle_attention": True,
    "heads": 4,
    "head_channels": None,
    "attention_order": "heads_first",
    "scale_shift_norm": True,
    "resblock_updown": False,
    "groupnorm": "by_width",
    "dropout": 0.0,
    "unshuffle": 1,
}
_RECIPE = {**_GUIDED, "channels": 192, "attention": (8, 16)}


class Architecture(NamedTuple):
    """A network and the pictures it is measured with."""

    params: dict[str, Any]
    out_channels: int
    size: int
    """Edge of the pictures, px."""


NETWORKS = {
    "default": Architecture(
        {
            **_GUIDED,
            "channels": 32,
            "channel_mult": (1, 2),
            "blocks": 1,
            "attention": (),
            "middle_attention": False,
            "unshuffle": 2,
        },
        8,
        64,
    ),
    "guided-23M": Architecture(_GUIDED, 6, 64),
    "recipe-128": Architecture({**_RECIPE, "channel_mult": (1, 1, 2, 2, 4)}, 6, 128),
    "recipe-256": Architecture({**_RECIPE, "channel_mult": (1, 1, 2, 2, 4, 4)}, 6, 256),
    "tiny": Architecture(
        {**_GUIDED, "channels": 16, "channel_mult": (1, 2), "blocks": 1, "attention": (2,)}, 6, 16
    ),
}


def build(name: str, device: torch.device | str = "cpu") -> SuperResUNet:
    """Return a network of `NETWORKS` in eval mode, channels last, without a weight that is zero."""
    architecture = NETWORKS[name]
    torch.manual_seed(0)
    params: Any = SimpleNamespace(**architecture.params)
    network = SuperResUNet(params, ENTROPIES, architecture.out_channels)
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():  # those that start at zero would hide what lies behind them
                weight.normal_(std=0.02)
    network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def inputs(
    name: str, batch: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return noisy pictures, timesteps, low-resolution pictures and entropies for a network."""
    size = NETWORKS[name].size
    generator = torch.Generator().manual_seed(1)
    tensors = (
        torch.randn(batch, 3, size, size, generator=generator),
        torch.linspace(0, 3999, batch).long(),
        torch.rand(batch, 3, size // SCALE, size // SCALE, generator=generator) * 2 - 1,
        torch.rand(batch, ENTROPIES, generator=generator),
    )
    noisy, timesteps, low, entropy = (tensor.to(device) for tensor in tensors)
    return noisy, timesteps, low, entropy
