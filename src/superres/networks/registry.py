"""The networks there are, by the kind that the section `model` describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from superres.networks.conditional_unet import SuperResUNet
from superres.networks.config import ModelParams
from superres.networks.mean_denoiser import MeanDenoiser
from superres.networks.protocol import Network


class Shape(NamedTuple):
    """What a network is built for; see `build_network`."""

    scale: int
    channels: int
    out_channels: int
    entropies: int
    classes: int | None


def _unet(params: Any, shape: Shape) -> Network:
    return SuperResUNet(params, shape.entropies, shape.out_channels, shape.classes, shape.channels)


def _mean_denoiser(params: Any, shape: Shape) -> Network:
    if (shape.channels, shape.out_channels, shape.classes) != (1, 1, None):
        raise ValueError(
            "model.kind 'mean_denoiser' needs diffusion.target 'scaled_luma', a fixed variance, no "
            "preconditioning and no classes"
        )
    return MeanDenoiser(params, shape.scale, shape.entropies)


NETWORKS: dict[str, Callable[[Any, Shape], Network]] = {
    "unet": _unet,
    "mean_denoiser": _mean_denoiser,
}
"""By `model.kind`; `superres.networks.config.MODEL_PARAMS` has the class of each one's params."""


def build_network(
    params: ModelParams,
    *,
    scale: int,
    channels: int,
    out_channels: int,
    entropies: int,
    classes: int | None = None,
) -> Network:
    """Return a new network.

    Args:
        params: what it is made of.
        scale: edge of a restored picture over edge of its input.
        channels: of what is diffused.
        out_channels: of the prediction, as the diffusion needs them.
        entropies: number of corruption entropies.
        classes: number of classes; None for no such condition.

    Raises:
        ValueError: params that no network can be built from, or a diffusion that it cannot serve.
    """
    shape = Shape(scale, channels, out_channels, entropies, classes)
    return NETWORKS[params.kind](params, shape)
