"""Small networks with weights from everywhere: what tests of foreign weights share."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from superres.networks.conditional_unet import SuperResUNet
from superres.networks.config import UNetParams
from support import GOLDEN

SMALL: dict[str, Any] = {
    "kind": "unet",
    "channels": 16,
    "channel_mult": [1, 2],
    "blocks": 1,
    "attention": [2],
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


def small_params(**changes: Any) -> UNetParams:
    return UNetParams.model_validate({**SMALL, **changes})


def random_network(
    params: UNetParams, entropies: int = 2, out_channels: int = 6, classes: int | None = None
) -> SuperResUNet:
    """Return a network whose every weight is random, so that no zero hides a fault."""
    network = SuperResUNet(params, entropies, out_channels, classes).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            gamma = weight.ndim == 1 and name.endswith("weight")
            weight.copy_(gamma + 0.1 * torch.randn(weight.shape, generator=generator))
    return network


def published(name: str) -> dict[str, Tensor]:
    """Return a published network's tensors, on the meta device: names and shapes alone."""
    described = json.loads((GOLDEN / "unet_shapes.json").read_text())
    shapes = described[name]
    if "like" in shapes:
        base = described[shapes["like"]]
        kept = {key: shape for key, shape in base.items() if key not in shapes["without"]}
        shapes = {**kept, **shapes["with"]}
    return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
