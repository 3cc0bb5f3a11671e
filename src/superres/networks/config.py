"""The `model` section: which network, and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from superres.core.params import Section

Condition = Literal["low", "entropies"]
"""What a network can be trained to do without; see `superres.networks.conditions`."""


class UNetParams(Section):
    """The recipe's U-Net, which sees the noisy signal beside the upsampled input."""

    kind: Literal["unet"]
    channels: Annotated[int, Field(ge=8, le=1024)]
    """Width of the first level."""
    channel_mult: Annotated[list[Annotated[int, Field(ge=1, le=16)]], Field(min_length=1)]
    """Width of each level as a multiple of `channels`; each level halves the resolution."""
    blocks: Annotated[int, Field(ge=1, le=8)]
    """Residual blocks per level (one more on the way up)."""
    attention: list[Annotated[int, Field(ge=1, le=1024)]]
    """Downsampling factors (within the U-Net) at which attention is used."""
    middle_attention: bool
    """Attention in the middle of the network, as the published models have."""
    heads: Annotated[int, Field(ge=1, le=64)]
    head_channels: Annotated[int, Field(ge=1, le=1024)] | None
    """Channels per head; overrides `heads` where given."""
    attention_order: Literal["heads_first", "qkv_first"]
    """How the qkv projection's channels are divided: by head and then by q, k, v (the published
    default), or the other way round (the "new attention order")."""
    scale_shift_norm: bool
    """The timestep scales and shifts the normalised features instead of being added."""
    resblock_updown: bool
    """Residual blocks change the resolution, instead of plain convolutions."""
    groupnorm: Literal["fixed_32", "by_width"]
    """32 groups everywhere (guided-diffusion), or 8 to 32 by width (DL-Art-School)."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    unshuffle: Literal[1, 2, 4]
    """Pixel-unshuffle factor before and pixel-shuffle after the network, for small budgets."""


Blocks = Annotated[list[Annotated[int, Field(ge=0, le=32)]], Field(min_length=3, max_length=3)]


class MeanDenoiserParams(Section):
    """A mean network, evaluated once per picture, and a light denoiser of the luma it leaves."""

    kind: Literal["mean_denoiser"]
    mean_channels: Annotated[int, Field(ge=4, le=512)]
    """Width at the input's resolution; twice that at half of it."""
    mean_blocks: Blocks
    """Residual blocks at the input's resolution, at half of it, and at the input's again."""
    denoiser_channels: Annotated[int, Field(ge=4, le=512)]
    denoiser_blocks: Blocks


IDENTITY_BLOCKS = ("mean_blocks", "denoiser_blocks")
"""Keys with numbers of blocks that change nothing until they are trained: a network may begin with
the weights of one that has fewer."""

ModelParams = UNetParams | MeanDenoiserParams

MODEL_PARAMS: Mapping[str, type[ModelParams]] = {
    "unet": UNetParams,
    "mean_denoiser": MeanDenoiserParams,
}
"""By `model.kind`."""
