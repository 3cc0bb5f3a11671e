"""What a network does between its convolutions, in few passes over memory.

Memory is channels last. Where gradients are wanted, everything is as plain as it reads; the other
ways give the same bits on a CPU (a test holds that) and take half of the time or less.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn


def added(x: Tensor, other: Tensor) -> Tensor:
    """Return a sum with a tensor `x` that nothing else needs: without gradients it is overwritten.

    Where the two differ in precision, the sum has the higher one, and is new.
    """
    if torch.is_grad_enabled() or x.dtype != other.dtype:
        return x + other
    return x.add_(other)


def beside(x: Tensor, more: Tensor) -> Tensor:
    """Return the channels of both, (B, C, H, W) and (B, D, H, W) -> (B, C + D, H, W)."""
    if not _at_once(x) or x.dtype != more.dtype:
        return torch.cat([x, more], 1)
    # `cat` takes four times as long to leave channels last for an order that has to be turned back.
    batch, channels, height, width = x.shape
    joined = x.new_empty(batch, height, width, channels + more.shape[1]).permute(0, 3, 1, 2)
    joined[:, :channels] = x
    joined[:, channels:] = more
    return joined


def modulated_norm(x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    """Norm over the channels of each pixel, then a factor 1 + scale, and a shift.

    Args:
        x: (B, C, H, W), channels last in memory.
        scale: (B, C, 1, 1).
        shift: likewise.
        eps: of the norm.
    """
    channels = x.shape[1]
    pixels = x.permute(0, 2, 3, 1)  # permuted, not copied, where the memory is channels last
    if _at_once(x) and x.dtype == scale.dtype == torch.float32:
        # One pass over memory in the place of three, each in the same order of operations: the
        # same bits, in half of the time.
        rows = zip(pixels, (1 + scale).flatten(1), shift.flatten(1), strict=True)
        normed = [F.layer_norm(one, (channels,), gain, bias, eps) for one, gain, bias in rows]
        together = normed[0][None] if len(normed) == 1 else torch.stack(normed)
        return together.permute(0, 3, 1, 2)
    normed_pixels = F.layer_norm(pixels, (channels,), eps=eps)
    return torch.addcmul(shift, normed_pixels.permute(0, 3, 1, 2), 1 + scale)


def shuffled_onto(fine: Tensor, coarse: Tensor, convolution: nn.Conv2d) -> Tensor:
    """Return pictures plus what a 1 x 1 convolution of coarser ones says of their pixels.

    Args:
        fine: (B, C, 2 H, 2 W), which nothing else needs: without gradients it is overwritten.
        coarse: (B, D, H, W).
        convolution: from D to 4 C channels, in the order of `F.pixel_shuffle`.
    """
    channels_last = fine.is_contiguous(memory_format=torch.channels_last)
    if not (_at_once(fine) and channels_last):
        return fine + F.pixel_shuffle(convolution(coarse), 2)
    batch, channels, height, width = fine.shape
    # With the channels of one pixel side by side, as they lie in `fine`, nothing has to be moved.
    weight, bias = convolution.weight, convolution.bias
    assert bias is not None
    product = F.conv2d(coarse, _by_places(weight, channels), _by_places(bias, channels))
    product = product.permute(0, 2, 3, 1).unflatten(3, (2, 2, channels)).transpose(2, 3)
    if product.dtype != fine.dtype:
        fine = fine.to(torch.promote_types(product.dtype, fine.dtype))
    places = fine.permute(0, 2, 3, 1).view(batch, height // 2, 2, width // 2, 2, channels)
    places += product
    return fine


def _by_places(weights: Tensor, channels: int) -> Tensor:
    """Return weights by (channel, place) as ones by (place, channel)."""
    return weights.unflatten(0, (channels, 4)).transpose(0, 1).flatten(0, 1)


def _at_once(x: Tensor) -> bool:
    """Whether what was measured on a CPU holds: no gradients, no tracing, which has any batch."""
    tracing = torch.compiler.is_compiling()
    return x.device.type == "cpu" and not torch.is_grad_enabled() and not tracing
