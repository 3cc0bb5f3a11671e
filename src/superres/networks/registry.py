"""The networks there are, by the kind that the section `model` describes."""

from __future__ import annotations

from superres.networks.conditional_unet import SuperResUNet
from superres.networks.config import MeanDenoiserParams, ModelParams, UNetParams
from superres.networks.mean_denoiser import MeanDenoiser
from superres.networks.protocol import Network


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
    if isinstance(params, UNetParams):
        return SuperResUNet(params, entropies, out_channels, classes, channels)
    return _mean_denoiser(params, scale, channels, out_channels, entropies, classes)


def _mean_denoiser(
    params: MeanDenoiserParams,
    scale: int,
    channels: int,
    out_channels: int,
    entropies: int,
    classes: int | None,
) -> Network:
    if (channels, out_channels, classes) != (1, 1, None):
        raise ValueError(
            "model.kind 'mean_denoiser' needs diffusion.target 'scaled_luma', a fixed variance, no "
            "preconditioning and no classes"
        )
    return MeanDenoiser(params, scale, entropies)
