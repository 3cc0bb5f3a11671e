"""The networks there are, by the kind that the section `model` describes."""

from __future__ import annotations

from collections.abc import Callable

from superres.networks.conditional_unet import SuperResUNet
from superres.networks.config import ModelParams
from superres.networks.protocol import Network

NETWORKS: dict[str, Callable[[ModelParams, int, int, int | None, int], Network]] = {
    "unet": SuperResUNet,
}
"""By `kind`: functions of params, entropies, output channels, classes and the signal's channels."""


def build_network(
    params: ModelParams,
    *,
    channels: int,
    out_channels: int,
    entropies: int,
    classes: int | None = None,
) -> Network:
    """Return a new network.

    Args:
        params: what it is made of.
        channels: of what is diffused.
        out_channels: of the prediction, as the diffusion needs them.
        entropies: number of corruption entropies.
        classes: number of classes; None for no such condition.

    Raises:
        ValueError: params that no network can be built from.
    """
    return NETWORKS[params.kind](params, entropies, out_channels, classes, channels)
