from __future__ import annotations

import pytest
import torch
from torch import nn

from networks import small_params
from superres.networks.config import ModelParams
from superres.networks.protocol import Network
from superres.networks.registry import NETWORKS, build_network


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_keep_the_protocol(kind: str, channels: int) -> None:
    params = small_params()
    assert params.kind == kind
    network = build_network(params, channels=channels, out_channels=5, entropies=2, classes=None)
    assert isinstance(network, Network)
    assert isinstance(network, nn.Module)
    assert (network.entropies, network.classes) == (2, None)
    assert not network.activation_checkpointing
    x, low = torch.zeros(1, channels, 6, 10), torch.zeros(1, 3, 3, 5)
    assert network(x, torch.tensor([3]), low, torch.zeros(1, 2)).shape == (1, 5, 6, 10)

    held = [id(w) for block in network.shard_blocks() for w in block.parameters()]
    assert len(held) == len(set(held)), "no weight is in two blocks"
    inside = sum(w.numel() for w in network.parameters() if id(w) in set(held))
    assert inside > 0.9 * sum(w.numel() for w in network.parameters())


def test_what_is_no_network() -> None:
    assert not isinstance(nn.Linear(1, 1), Network)
    assert ModelParams.kind in NETWORKS
