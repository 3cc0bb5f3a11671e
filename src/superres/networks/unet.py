"""The U-Net of guided-diffusion, for any height and width, with an optional unshuffled trunk.

Source: Dhariwal & Nichol 2021, section 3 and appendix; tensor names and shapes are those of the
published weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from superres.networks.layers import (
    AttentionBlock,
    Downsample,
    ResBlock,
    Upsample,
    group_norm,
    timestep_embedding,
    zeroed,
)

if TYPE_CHECKING:  # without pydantic, torch alone is enough
    from superres.networks.config import UNetParams


class EmbeddedSequential(nn.Sequential):
    """Modules in a row; residual blocks are given the timestep embedding as well."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # type: ignore[override]
        """(B, C, H, W), (B, D) -> (B, C', H', W')."""
        for module in self:
            x = module(x, embedding) if isinstance(module, ResBlock) else module(x)
        return x


class UNet(nn.Module):
    """Predicts from a noisy picture and its timestep.

    Args:
        params: widths, blocks and options.
        in_channels: channels of the input picture with its conditions.
        out_channels: 3, or 6 where the variance is learned.
        classes: number of classes that it is conditioned on; None for no such condition.

    Raises:
        ValueError: widths that the norms or heads do not divide.
    """

    def __init__(
        self, params: UNetParams, in_channels: int, out_channels: int, classes: int | None = None
    ) -> None:
        super().__init__()
        self.params = params
        self.classes = classes
        self.activation_checkpointing = False
        self.unshuffle = params.unshuffle
        embedding = 4 * params.channels
        self.time_embed = nn.Sequential(
            nn.Linear(params.channels, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        if classes is not None:
            self.label_emb = nn.Embedding(classes, embedding)
        area = params.unshuffle**2
        widths = [multiple * params.channels for multiple in params.channel_mult]
        stem = nn.Conv2d(in_channels * area, widths[0], 3, padding=1)
        self.input_blocks = nn.ModuleList([EmbeddedSequential(stem)])
        skips = [widths[0]]
        channels, factor = widths[0], 1
        for level, width in enumerate(widths):
            for _ in range(params.blocks):
                self.input_blocks.append(self._block(channels, width, factor))
                channels = width
                skips.append(channels)
            if level < len(widths) - 1:
                self.input_blocks.append(EmbeddedSequential(self._resample(channels, "down")))
                skips.append(channels)
                factor *= 2
        self.size_multiple = factor * params.unshuffle

        middle: list[nn.Module] = [self._residual(channels, channels)]
        if params.middle_attention:
            middle.append(self._attention(channels))
        middle.append(self._residual(channels, channels))
        self.middle_block = EmbeddedSequential(*middle)

        self.output_blocks = nn.ModuleList()
        for level, width in reversed(list(enumerate(widths))):
            for index in range(params.blocks + 1):
                block = self._block(channels + skips.pop(), width, factor)
                channels = width
                if level and index == params.blocks:
                    block.append(self._resample(channels, "up"))
                    factor //= 2
                self.output_blocks.append(block)
        self.out = nn.Sequential(
            group_norm(channels, params.groupnorm),
            nn.SiLU(),
            zeroed(nn.Conv2d(channels, out_channels * area, 3, padding=1)),
        )

    def shard_blocks(self) -> list[nn.Module]:
        """Return the parts that hold most weights; see `superres.networks.protocol.Network`."""
        return [*self.input_blocks, self.middle_block, *self.output_blocks]

    def _block(self, channels: int, width: int, factor: int) -> EmbeddedSequential:
        block = EmbeddedSequential(self._residual(channels, width))
        if factor in self.params.attention:
            block.append(self._attention(width))
        return block

    def _residual(self, channels: int, width: int, resample: str | None = None) -> ResBlock:
        params = self.params
        return ResBlock(
            channels,
            4 * params.channels,
            width,
            params.groupnorm,
            params.scale_shift_norm,
            params.dropout,
            resample,
        )

    def _attention(self, channels: int) -> AttentionBlock:
        params = self.params
        heads = params.heads
        if params.head_channels is not None:
            if channels % params.head_channels:
                raise ValueError(
                    f"head_channels {params.head_channels} do not divide {channels} channels"
                )
            heads = channels // params.head_channels
        return AttentionBlock(channels, heads, params.groupnorm, params.attention_order)

    def _resample(self, channels: int, direction: str) -> nn.Module:
        if self.params.resblock_updown:
            return self._residual(channels, channels, direction)
        return Downsample(channels) if direction == "down" else Upsample(channels)

    def forward(self, x: Tensor, timesteps: Tensor, label: Tensor | None = None) -> Tensor:
        """Predict.

        Args:
            x: picture with its conditions, (B, in_channels, H, W), any H and W.
            timesteps: (B,), integers or floats.
            label: classes, (B,), integers from 0 to `classes` - 1, best on the CPU (elsewhere,
                checking them waits for the device); None for the mean of all classes'
                embeddings, which stands for no class in particular.

        Returns:
            (B, out_channels, H, W).

        Raises:
            ValueError: a label that is out of range, or for a network without classes.
        """
        height, width = x.shape[-2:]
        padding = (0, -width % self.size_multiple, 0, -height % self.size_multiple)
        if any(padding):
            x = F.pad(x, padding, mode="replicate")
        if self.unshuffle > 1:
            x = F.pixel_unshuffle(x, self.unshuffle)
        embedding = self.time_embed(timestep_embedding(timesteps, self.params.channels))
        if self.classes is not None or label is not None:
            embedding = embedding + self._class_embedding(label, x.shape[0])
        hidden, skips = x, []
        for block in self.input_blocks:
            hidden = self._run(block, hidden, embedding)
            skips.append(hidden)
        hidden = self._run(self.middle_block, hidden, embedding)
        for block in self.output_blocks:
            hidden = self._run(block, torch.cat([hidden, skips.pop()], dim=1), embedding)
        hidden = self.out(hidden)
        if self.unshuffle > 1:
            hidden = F.pixel_shuffle(hidden, self.unshuffle)
        # In the memory order of the noisy picture, with which it is about to be combined.
        return hidden[..., :height, :width].contiguous()

    def _class_embedding(self, label: Tensor | None, batch: int) -> Tensor:
        """Return (B, D), or (1, D) for the mean of all classes."""
        if self.classes is None:
            raise ValueError("the network is not class-conditional, but was given a label")
        weight = self.label_emb.weight
        if label is None:
            return weight.mean(dim=0, keepdim=True)
        if label.shape != (batch,) or label.dtype not in (torch.int64, torch.int32):
            raise ValueError(
                f"labels must be integers of shape {(batch,)}, got {label.dtype}, "
                f"{tuple(label.shape)}"
            )
        if batch and not (label.min() >= 0 and label.max() < self.classes):
            raise ValueError(
                f"labels must be between 0 and {self.classes - 1}, got {label.tolist()}"
            )
        return self.label_emb(label.to(weight.device, non_blocking=True))

    def _run(self, block: nn.Module, x: Tensor, embedding: Tensor) -> Tensor:
        if self.activation_checkpointing and torch.is_grad_enabled():
            return checkpoint(block, x, embedding, use_reentrant=False)
        return block(x, embedding)
