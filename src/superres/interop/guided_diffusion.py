"""Weights of DL-Art-School and guided-diffusion: taken over, and given away.

Both keep a network as a state dict whose names and shapes are those of `SuperResUNet`; the work is
in finding out which network it is, and in saying what does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from superres.core.state_dicts import listed, tensor_faults
from superres.interop.architecture import Architecture, infer_architecture
from superres.networks.conditional_unet import SuperResUNet
from superres.networks.config import UNetParams

_PREFIX = re.compile(r"^(module\.)+")


def load_guided_diffusion(
    state_dict: Mapping[str, Tensor],
    *,
    heads: int = 4,
    head_channels: int | None = None,
    heads_upsample: int | None = None,
    attention_order: str = "heads_first",
    groupnorm: str | None = None,
) -> SuperResUNet:
    """Return the super-resolution network of a state dict, in eval mode, with weights of its own.

    All that shows in names and shapes is inferred. What does not show is asked for; a wrong answer
    is not noticed, but gives another network.

    Args:
        state_dict: floating tensors by name; `module.` before the names is removed, and tensors of
            any precision become float32. Tensors on the meta device give a network there.
        heads: of every attention; both codebases' recipes have 4.
        head_channels: channels per head, overriding `heads`.
        heads_upsample: of the attentions on the way up (there: `num_heads_upsample`), where they
            were given; -1, as there, is like None. No network here has others than `heads`, so
            any other number is refused; with `head_channels`, both ignore it.
        attention_order: `heads_first`, the default of both, or `qkv_first` (there:
            `use_new_attention_order`).
        groupnorm: `fixed_32` (guided-diffusion) or `by_width` (DL-Art-School). None takes
            `by_width` where there are entropy planes or widths that 32 does not divide, which
            guided-diffusion cannot have, and else `fixed_32`; it matters up to 64 channels only.

    Raises:
        ValueError: another kind of network; or the names of all tensors that are missing, surplus,
            misshapen or not finite; or heads that do not divide the channels, or that are others
            on the way up.
    """
    _check_heads(heads, head_channels, heads_upsample)
    tensors = named_tensors(state_dict)
    architecture = infer_architecture(tensors)
    params = _params(architecture, heads, head_channels, attention_order, groupnorm)
    with torch.device("meta"):
        network = SuperResUNet(
            params, architecture.entropies, architecture.out_channels, architecture.classes
        )
    _check_fit(tensors, network.state_dict(), architecture)
    weights = {name: _copy(tensor) for name, tensor in tensors.items()}
    broken = [
        name for name, weight in weights.items() if not (weight.is_meta or weight.isfinite().all())
    ]
    if broken:
        raise ValueError(f"weights that are not finite in float32: {listed(broken)}")
    network.load_state_dict(weights, assign=True)
    return network.eval()


def to_guided_diffusion(network: SuperResUNet) -> dict[str, Tensor]:
    """Return copies of a network's weights as both codebases name them, contiguous float32.

    Raises:
        ValueError: a pixel-unshuffled trunk or other outputs than 3 or 6 channels, which neither
            knows.
    """
    if network.unshuffle > 1:
        raise ValueError(
            f"unshuffle {network.unshuffle}: neither codebase rearranges pixels into channels"
        )
    if network.out_channels not in (3, 6):
        raise ValueError(
            f"{network.out_channels} output channels: both codebases have 3, or 6 with the variance"
        )
    return {name: _copy(tensor) for name, tensor in network.state_dict().items()}


def named_tensors(state_dict: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a state dict's tensors without `module.` before their names.

    Raises:
        ValueError: no mapping, an empty one, entries that are no dense floating tensors, or a name
            that is duplicated.
    """
    if not isinstance(state_dict, Mapping):
        raise ValueError(f"a state dict maps names to tensors; got {type(state_dict).__name__}")
    if not state_dict:
        raise ValueError("an empty state dict")
    foreign = [
        f"{name!r} ({_kind(value)})"
        for name, value in state_dict.items()
        if not isinstance(name, str) or _kind(value) != "weights"
    ]
    if foreign:
        raise ValueError(f"entries that are not weights by name: {listed(foreign)}")
    tensors = {_PREFIX.sub("", name): tensor for name, tensor in state_dict.items()}
    if len(tensors) < len(state_dict):
        raise ValueError("some tensors are duplicated, with and without 'module.'")
    return tensors


def _check_heads(heads: int, head_channels: int | None, heads_upsample: int | None) -> None:
    """Raise ValueError for weights that would be loaded as another network."""
    if heads_upsample in (None, -1, heads) or head_channels is not None:
        return
    raise ValueError(
        f"num_heads_upsample must be num_heads, {heads}, got {heads_upsample}: attention with "
        "other heads on the way up than on the way down cannot be expressed"
    )


def _params(
    architecture: Architecture,
    heads: int,
    head_channels: int | None,
    attention_order: str,
    groupnorm: str | None,
) -> UNetParams:
    """Return params of the network, without dropout, which leaves no trace in weights."""
    values: dict[str, Any] = {
        "kind": "unet",
        "channels": architecture.channels,
        "channel_mult": list(architecture.channel_mult),
        "blocks": architecture.blocks,
        "attention": list(architecture.attention),
        "middle_attention": architecture.middle_attention,
        "heads": heads,
        "head_channels": head_channels,
        "attention_order": attention_order,
        "scale_shift_norm": architecture.scale_shift_norm,
        "resblock_updown": architecture.resblock_updown,
        "groupnorm": architecture.likely_groupnorm() if groupnorm is None else groupnorm,
        "dropout": 0.0,
        "unshuffle": 1,
    }
    try:
        return UNetParams.model_validate(values)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}, got {fault['input']!r}"
            for fault in error.errors(include_url=False)
        ]
        raise ValueError("; ".join(faults)) from error


def _kind(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    dense = value.layout == torch.strided and value.is_floating_point()
    return "weights" if dense else f"tensor of {value.dtype}, {value.layout}"


def _copy(tensor: Tensor) -> Tensor:
    # Contiguous, since kernels sum in memory order: outputs stay the same to the last bit.
    copied = tensor.detach().to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    return copied.contiguous()


def _check_fit(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], architecture: Architecture
) -> None:
    """Raise one ValueError with all names that keep tensors from being the network's weights."""
    if faults := tensor_faults(tensors, expected):
        raise ValueError(
            f"does not fit the U-Net it looks like ({architecture.channels} channels x "
            f"{list(architecture.channel_mult)}, {architecture.blocks} blocks per level): "
            + "; ".join(faults)
        )
