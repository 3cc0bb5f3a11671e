from __future__ import annotations

import pytest
import torch
from torch import nn

from networks import small_params
from superres.networks.config import MODEL_PARAMS, MeanDenoiserParams, ModelParams
from superres.networks.protocol import Network
from superres.networks.registry import NETWORKS, build_network

SMALL: dict[str, ModelParams] = {
    "unet": small_params(),
    "mean_denoiser": MeanDenoiserParams(
        kind="mean_denoiser",
        mean_channels=8,
        mean_blocks=[1, 2, 1],
        denoiser_channels=8,
        denoiser_blocks=[1, 1, 1],
    ),
}
SHAPES = {"unet": [(1, 5), (3, 5), (3, 6)], "mean_denoiser": [(1, 1)]}
"""Channels of the signal and of the prediction that each kind is built for here."""


def test_every_kind_has_params_and_is_tested() -> None:
    assert set(NETWORKS) == set(MODEL_PARAMS) == set(SMALL)


@pytest.mark.parametrize(
    ("kind", "channels", "out"), [(kind, *shape) for kind in NETWORKS for shape in SHAPES[kind]]
)
def test_networks_keep_the_protocol(kind: str, channels: int, out: int) -> None:
    network = build_network(
        SMALL[kind], scale=2, channels=channels, out_channels=out, entropies=2, classes=None
    )
    assert isinstance(network, Network)
    assert isinstance(network, nn.Module)
    assert (network.entropies, network.classes) == (2, None)
    assert not network.activation_checkpointing
    x, low = torch.zeros(1, channels, 6, 10), torch.zeros(1, 3, 3, 5)
    conditions = network.prepare(low, (6, 10), torch.zeros(1, 2))
    for known in (conditions, network.lighten(conditions)):
        assert network(x, torch.tensor([3]), *known).shape == (1, out, 6, 10)

    held = [id(w) for block in network.shard_blocks() for w in block.parameters()]
    assert len(held) == len(set(held)), "no weight is in two blocks"
    inside = sum(w.numel() for w in network.parameters() if id(w) in set(held))
    assert inside > 0.5 * sum(w.numel() for w in network.parameters())


def test_what_is_no_network() -> None:
    assert not isinstance(nn.Linear(1, 1), Network)
