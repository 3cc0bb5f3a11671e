"""The baseline: the same network and sampler written plainly, with the same weights.

Full precision, contiguous memory, attention whose weights are held in memory, activations
checkpointed wherever gradients are wanted, tables on the host, a wait for the device in every
step. What the library gains is measured against this within one run; tests hold that both agree.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from superres.networks.conditional_unet import SuperResUNet
from superres.networks.layers import (
    AttentionBlock,
    Downsample,
    ResBlock,
    Upsample,
    timestep_embedding,
)


class PlainUNet(nn.Module):
    """A network's copy that computes the same in the plainest way.

    Args:
        network: whose weights are copied, in contiguous memory.
        checkpointing: recompute activations in the backward pass.
    """

    def __init__(self, network: SuperResUNet, checkpointing: bool = True) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        self.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.checkpointing = checkpointing

    def forward(self, x: Tensor, timesteps: Tensor, low: Tensor, entropy: Tensor) -> Tensor:
        """Predict as `SuperResUNet.forward` does, for sizes that need no padding."""
        net = self.network
        low = F.interpolate(low, x.shape[-2:], mode="bilinear", align_corners=False)
        planes = entropy[:, :, None, None].expand(-1, -1, *x.shape[-2:])
        hidden = torch.cat([x, low, planes], dim=1)
        if net.unshuffle > 1:
            hidden = F.pixel_unshuffle(hidden, net.unshuffle)
        embedding = net.time_embed(timestep_embedding(timesteps, net.params.channels))
        skips = []
        for block in net.input_blocks:
            hidden = self._run(block, hidden, embedding)
            skips.append(hidden)
        hidden = self._run(net.middle_block, hidden, embedding)
        for block in net.output_blocks:
            hidden = self._run(block, torch.cat([hidden, skips.pop()], dim=1), embedding)
        hidden = net.out(hidden)
        return F.pixel_shuffle(hidden, net.unshuffle) if net.unshuffle > 1 else hidden

    def _run(self, block: nn.Module, x: Tensor, embedding: Tensor) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(_block, block, x, embedding, use_reentrant=False)
        return _block(block, x, embedding)


def _block(block: Any, x: Tensor, embedding: Tensor) -> Tensor:
    for module in block:
        if isinstance(module, ResBlock):
            x = _residual(module, x, embedding)
        elif isinstance(module, AttentionBlock):
            x = _attention(module, x)
        elif isinstance(module, Upsample):
            x = module.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        elif isinstance(module, Downsample):
            x = module.op(x)
        else:
            x = module(x)
    return x


def _residual(block: ResBlock, x: Tensor, embedding: Tensor) -> Tensor:
    """Compute a block that does not resample and is told by scale and shift."""
    hidden = block.in_layers(x)
    scale, shift = block.emb_layers(embedding)[:, :, None, None].chunk(2, dim=1)
    hidden = block.out_layers[0](hidden) * (1 + scale) + shift
    return block.skip_connection(x) + block.out_layers[1:](hidden)


def _attention(block: AttentionBlock, x: Tensor) -> Tensor:
    """Compute an attention whose channels are divided by heads first."""
    batch, channels = x.shape[:2]
    width_of_head = channels // block.heads
    projected = block.qkv(block.norm(x).reshape(batch, channels, -1))
    query, key, value = projected.reshape(batch * block.heads, 3 * width_of_head, -1).split(
        width_of_head, dim=1
    )
    weights = torch.einsum("bct,bcs->bts", query, key) / width_of_head**0.5
    mixed = torch.einsum("bts,bcs->bct", weights.softmax(dim=-1), value)
    return x + block.proj_out(mixed.reshape(batch, channels, -1)).reshape(x.shape)


def plain_sample(
    denoiser: Callable[[Tensor, Tensor], Tensor],
    betas: np.ndarray,
    timesteps: list[int],
    draw: Callable[[], Tensor],
) -> Tensor:
    """Sample as `superres.diffusion.sample` does with `ddpm`, epsilon and a learned range.

    Args:
        denoiser: (x, timesteps) to 6 channels.
        betas: of the whole process, float64.
        timesteps: which of it are kept, ascending.
        draw: source of noise.
    """
    kept = np.cumprod(1 - betas)[timesteps]
    before = np.concatenate([[1.0], kept[:-1]])
    beta = 1 - kept / before
    posterior = beta * (1 - before) / (1 - kept)
    low = np.log(np.concatenate([posterior[1:2], posterior[1:]]))
    x = draw()

    def at(table: np.ndarray, index: int) -> Tensor:
        rows = torch.tensor([index] * len(x), device=x.device)
        return torch.from_numpy(table).to(x.device)[rows].float().view(-1, 1, 1, 1)

    for index in reversed(range(len(timesteps))):
        t = torch.tensor([timesteps[index]] * len(x), device=x.device)
        epsilon, spread = denoiser(x, t).chunk(2, dim=1)
        x0 = at(np.sqrt(1 / kept), index) * x - at(np.sqrt(1 / kept - 1), index) * epsilon
        x0 = x0.clamp(-1, 1)
        mean = at(beta * np.sqrt(before) / (1 - kept), index) * x0
        mean = mean + at((1 - before) * np.sqrt(1 - beta) / (1 - kept), index) * x
        fraction = (spread + 1) / 2
        log_variance = fraction * at(np.log(beta), index) + (1 - fraction) * at(low, index)
        x = mean + (torch.exp(0.5 * log_variance) * draw() if index else 0)
        if not x.isfinite().all():
            raise ValueError(f"step {index} gave values that are not finite")
    return x
