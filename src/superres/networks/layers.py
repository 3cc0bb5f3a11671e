"""Building blocks of the U-Net, named as in guided-diffusion so that its weights load.

Sources: Ho et al. 2020 (appendix B), Nichol & Dhariwal 2021 (section 3), Dhariwal & Nichol 2021
(section 3). Features are (B, C, H, W); timestep embeddings are (B, D).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn


def timestep_embedding(timesteps: Tensor, dim: int, max_period: float = 10_000) -> Tensor:
    """Return sinusoidal embeddings, (B,) -> (B, dim), cosines first; an odd last column is 0."""
    half = dim // 2
    exponents = torch.arange(half, dtype=torch.float32, device=timesteps.device) / half
    angles = timesteps[:, None].float() * torch.exp(-math.log(max_period) * exponents)[None]
    embedding = torch.cat([angles.cos(), angles.sin()], dim=1)
    return F.pad(embedding, (0, dim % 2))


def group_norm(channels: int, rule: str) -> nn.GroupNorm:
    """Return the normalisation of a width.

    Args:
        channels: number of channels.
        rule: `fixed_32` (guided-diffusion), or `by_width` (DL-Art-School: 8 groups up to 16
            channels, 16 up to 64, else 32, halved until they divide the channels).

    Raises:
        ValueError: `fixed_32` where 32 does not divide the channels.
    """
    if rule == "fixed_32":
        if channels % 32:
            raise ValueError(f"groupnorm fixed_32 needs multiples of 32 channels, got {channels}")
        return nn.GroupNorm(32, channels)
    groups = 8 if channels <= 16 else 16 if channels <= 64 else 32
    while channels % groups:
        groups //= 2
    return nn.GroupNorm(groups, channels)


def rules_differ(widths: Iterable[int]) -> bool:
    """Whether the two rules of `group_norm` norm some of these widths in other groups."""
    return any(width % 32 or group_norm(width, "by_width").num_groups != 32 for width in widths)


def zeroed(module: nn.Module) -> Any:
    """Return a module with all parameters zero, so that its block starts as the identity."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def convolutions_in(network: nn.Module, kind: type[nn.Module]) -> list[str]:
    """Return the names of the weights of the convolutions in a network's modules of a kind."""
    return [
        f"{module}.{name}"
        for module, block in network.named_modules()
        if isinstance(block, kind)
        for name, weight in block.named_parameters()
        if weight.ndim > 2
    ]


def activate(x: Tensor) -> Tensor:
    """Return SiLU of a tensor that nothing else needs: without gradients it is overwritten."""
    # A fresh tensor costs a CPU page faults, which take as long as the arithmetic.
    return F.silu(x, inplace=not torch.is_grad_enabled())


def upsampled_convolution(x: Tensor, convolution: Any) -> Tensor:
    """Double the resolution, nearest neighbour, and convolve: (B, C, H, W) -> (B, C', 2H, 2W).

    A convolution of 3 x 3 pixels sees four pixels repeated, so on a CPU their weights are added up
    and the four multiplied once: 4/9 of the products, as a transposed convolution.
    """
    if x.device.type != "cpu":  # not measured elsewhere
        return convolution(F.interpolate(x, scale_factor=2.0, mode="nearest"))
    weight = convolution.weight.transpose(0, 1)
    top, middle, bottom = weight.unbind(2)
    weight = torch.stack([bottom, bottom + middle, middle + top, top], dim=2)
    left, middle, right = weight.unbind(3)
    weight = torch.stack([right, right + middle, middle + left, left], dim=3)
    return F.conv_transpose2d(x, weight, convolution.bias, stride=2, padding=1)


class Downsample(nn.Module):
    """Halves the resolution with a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H/2, W/2)."""
        return self.op(x)


class Upsample(nn.Module):
    """Doubles the resolution: nearest neighbour, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W)."""
        return upsampled_convolution(x, self.conv)


class ResBlock(nn.Module):
    """Two normalised convolutions around a skip connection, conditioned on the timestep in between.

    Args:
        channels: input channels.
        embedding: width of the timestep embedding.
        out_channels: output channels.
        rule: see `group_norm`.
        scale_shift: the embedding scales and shifts the second norm instead of being added.
        dropout: probability.
        resample: `up` or `down` changes the resolution by 2 inside the block.
    """

    def __init__(
        self,
        channels: int,
        embedding: int,
        out_channels: int,
        rule: str,
        scale_shift: bool = True,
        dropout: float = 0.0,
        resample: str | None = None,
    ) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.resample = resample
        self.in_layers = nn.Sequential(
            group_norm(channels, rule), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        width = 2 * out_channels if scale_shift else out_channels
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, width))
        self.out_layers = nn.Sequential(
            group_norm(out_channels, rule),
            nn.SiLU(),
            nn.Dropout(dropout),
            zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1)),
        )
        self.skip_connection = (
            nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)
        )

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, C, H, W), (B, D) -> (B, C', H', W')."""
        norm, _, convolution = self.in_layers
        hidden = activate(norm(x))
        if self.resample == "up":
            hidden = upsampled_convolution(hidden, convolution)
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        elif self.resample == "down":
            hidden, x = convolution(F.avg_pool2d(hidden, 2)), F.avg_pool2d(x, 2)
        else:
            hidden = convolution(hidden)
        projected = self.emb_layers(embedding)[:, :, None, None].to(hidden.dtype)
        norm, _, dropout, convolution = self.out_layers
        if self.scale_shift:
            scale, shift = projected.chunk(2, dim=1)
            hidden = torch.addcmul(shift, norm(hidden), 1 + scale)
        else:
            hidden = norm(hidden + projected)
        hidden = convolution(dropout(activate(hidden)))
        return _sum(hidden, self.skip_connection(x))


class AttentionBlock(nn.Module):
    """Self-attention over all positions, added to its input.

    Args:
        channels: input and output channels.
        heads: number of heads; must divide the channels.
        rule: see `group_norm`.
        order: how the projection's 3C channels are divided, `heads_first` or `qkv_first`.

    Raises:
        ValueError: heads that do not divide the channels.
    """

    def __init__(self, channels: int, heads: int, rule: str, order: str = "heads_first") -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{heads} attention heads do not divide {channels} channels")
        self.heads = heads
        self.order = order
        self.norm = group_norm(channels, rule)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        batch, channels, height, width = x.shape
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        projected = F.linear(tokens, self.qkv.weight[:, :, 0], self.qkv.bias)
        # Channels last and channels innermost, as the kernels of attention want their heads:
        # from here to the sum, everything is a view.
        if self.order == "heads_first":
            parts = projected.view(batch, -1, self.heads, 3, channels // self.heads).unbind(3)
        else:
            parts = projected.view(batch, -1, 3, self.heads, channels // self.heads).unbind(2)
        query, key, value = (part.transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        tokens = F.linear(
            mixed.reshape(batch, -1, channels), self.proj_out.weight[:, :, 0], self.proj_out.bias
        )
        return _sum(tokens.view(batch, height, width, channels).permute(0, 3, 1, 2), x)


def _sum(fresh: Tensor, other: Tensor) -> Tensor:
    """Return the sum of two tensors of one shape, the first of which nothing else needs."""
    # No gradient needs the values of a sum's parts, so this is allowed in training, too.
    return fresh.add_(other) if fresh.dtype == other.dtype else fresh + other
