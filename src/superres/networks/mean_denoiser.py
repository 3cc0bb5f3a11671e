"""A network for small budgets: the mean of what fits the input, and a light denoiser for the rest.

The mean network sees the low-resolution picture once, at that picture's own resolution, and gives
the mean of the originals that fit it, how far their luma deviates from that mean around each pixel,
and features. The denoiser, evaluated many times, works on one
channel, that deviation divided by its size, and is conditioned on the features.

After SRDiff (Li et al. 2021) and "Deblurring via stochastic refinement" (Whang et al. 2022), which
diffuse what a regression leaves; that it is luma alone and of unit variance is this project's.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from superres.networks.absent_entropies import absorbed, settled
from superres.networks.layers import activate, convolutions_in
from superres.networks.pixelwise import added, beside, modulated_norm, shuffled_onto

if TYPE_CHECKING:  # without pydantic, torch alone is enough
    from superres.networks.config import MeanDenoiserParams

EMBEDDING = 64
MEAN_EMBEDDING = "mean.embed.0.weight"
FREQUENCIES = 16
RESIDUAL_SCALE = 5.0
"""What the mean network adds to the interpolated input is its output over this."""
LEAST_DEVIATION, LARGEST_DEVIATION = 0.5 / 127.5, 0.6
"""Bounds of the deviation of luma, in the units of pictures in [-1, 1]: half a level of 255, and
what no photograph exceeds."""
FIRST_DEVIATION = 8 / 127.5


class MeanConditions(NamedTuple):
    """What the mean network says of a batch of pictures, all the denoiser needs of them."""

    mean: Tensor
    """Pictures in about [-1, 1], (B, 3, H, W)."""
    log_deviation: Tensor
    """Of luma from the mean's, natural logarithm, (B, 1, H, W)."""
    fine: Tensor
    """Features at the input's resolution, as the denoiser takes them."""
    coarse: Tensor
    """Features at half of it."""
    entropy: Tensor
    """Corruption entropies, (B, K)."""


class MeanDenoiser(nn.Module):
    """The two networks together; see `superres.networks.protocol.Network`.

    Args:
        params: widths and depths.
        scale: edge of a restored picture over edge of its input.
        entropies: number of corruption entropies.
    """

    classes: int | None = None
    sees_log_noise = True

    def __init__(self, params: MeanDenoiserParams, scale: int, entropies: int) -> None:
        super().__init__()
        self.entropies = entropies
        self.size_multiple = 2 * scale
        self.activation_checkpointing = False
        self.mean = MeanNetwork(params, scale, entropies)
        self.denoiser = ResidualDenoiser(params, scale, entropies)

    def shard_blocks(self) -> list[nn.Module]:
        """Return the blocks of both networks."""
        return [block for block in self.modules() if isinstance(block, ConditionedBlock)]

    def block_convolutions(self) -> list[str]:
        """Return the weights of the blocks' convolutions; see `Network`."""
        return convolutions_in(self, ConditionedBlock)

    def entropy_inputs(self) -> dict[str, tuple[int, int]]:
        """Return where entropies enter both networks; see `Network`."""
        inputs = {"mean.stem.weight": (3, 1), "denoiser.embed.0.weight": (2 * FREQUENCIES, 1)}
        return {**inputs, MEAN_EMBEDDING: (0, 1)} if self.entropies else inputs

    def without_entropies(
        self, weights: Mapping[str, Tensor], places: Collection[int]
    ) -> dict[str, Tensor]:
        """Have biases take in the inputs, which would be -1; see `Network`."""
        inputs = {**self.entropy_inputs(), MEAN_EMBEDDING: (0, 1)}
        left = absorbed(weights, inputs, places, -1.0)
        return left if self.entropies else settled(left, "mean.")

    def distilled(self) -> list[str]:
        """Return the denoiser's weights: the mean is one evaluation already; see `Network`."""
        return [f"denoiser.{name}" for name, _ in self.denoiser.named_parameters()]

    def prepare(
        self, low: Tensor, size: tuple[int, int], entropy: Tensor, label: Tensor | None = None
    ) -> MeanConditions:
        """Evaluate the mean network, once for all evaluations of the denoiser.

        Args:
            low: low-resolution pictures in [-1, 1], (B, 3, h, w).
            size: height and width of the restored pictures, `scale` times as large.
            entropy: corruption entropies in [0, 1], (B, K).
            label: None; there are no classes.

        Raises:
            ValueError: not as many entropies as the network knows, or a label.
        """
        if label is not None:
            raise ValueError("the network is not class-conditional, but was given a label")
        if entropy.shape != (low.shape[0], self.entropies):
            raise ValueError(
                f"expected entropies of shape {(low.shape[0], self.entropies)}, "
                f"got {tuple(entropy.shape)}"
            )
        predicted = self.mean(low, entropy, self.activation_checkpointing)
        # What the denoiser learns must not bend the mean, which is judged by itself.
        fine, coarse = self.denoiser.project(
            predicted.fine.detach(), predicted.coarse.detach(), predicted.log_deviation.detach()
        )
        height, width = size
        return MeanConditions(
            predicted.picture[:, :, :height, :width],
            _enlarged(predicted.log_deviation, self.mean.scale)[:, :, :height, :width],
            fine,
            coarse,
            entropy,
        )

    def lighten(self, conditions: tuple[Any, ...]) -> MeanConditions:
        """Return the features alone, in half precision."""
        full = MeanConditions(*conditions)
        nothing = full.mean.new_empty(0)
        fine, coarse = (part.to(torch.bfloat16) for part in (full.fine, full.coarse))
        return MeanConditions(nothing, nothing, fine, coarse, full.entropy)

    def forward(self, x: Tensor, log_noise: Tensor, *conditions: Tensor) -> Tensor:
        """Predict what the diffusion wants.

        Args:
            x: noisy signal, (B, 1, H, W).
            log_noise: logarithm of noise's over signal's deviation, (B,).
            conditions: `MeanConditions`, from `prepare`.

        Returns:
            (B, 1, H, W).
        """
        named = MeanConditions(*conditions)
        return self.denoiser(x, log_noise, named, self.activation_checkpointing)


class _MeanOutput(NamedTuple):
    """What the mean network says, before it is cut to the pictures' size."""

    picture: Tensor
    log_deviation: Tensor
    fine: Tensor
    coarse: Tensor


class MeanNetwork(nn.Module):
    """Low-resolution pictures and entropies to the mean of the originals; see `MeanConditions`."""

    def __init__(self, params: MeanDenoiserParams, scale: int, entropies: int) -> None:
        super().__init__()
        self.scale = scale
        self.enlarge = interpolated  # exports put another way to the same in its place
        width, wide = params.mean_channels, 2 * params.mean_channels
        before, middle, after = params.mean_blocks
        self.embed = _embedding(entropies) if entropies else None
        self.stem = nn.Conv2d(3 + entropies, width, 3, padding=1)
        self.before = _blocks(before, width)
        self.down = nn.Conv2d(width, wide, 2, stride=2)
        self.middle = _blocks(middle, wide)
        self.up = nn.Conv2d(wide, 4 * width, 1)
        self.after = _blocks(after, width)
        self.out = _zeroed(nn.Conv2d(width, 3 * scale**2, 3, padding=1))
        self.head = nn.Sequential(
            nn.Conv2d(width, 32, 3, padding=1), nn.SiLU(), _zeroed(nn.Conv2d(32, 1, 3, padding=1))
        )
        with torch.no_grad():
            bias = self.head[2].bias
            assert isinstance(bias, Tensor)
            bias.fill_(math.log(FIRST_DEVIATION))

    def forward(self, low: Tensor, entropy: Tensor, recompute: bool) -> _MeanOutput:
        """Predict; `recompute` activations in the backward pass to save memory."""
        low = _even(low)
        scaled = 2 * entropy - 1
        planes = scaled[:, :, None, None].to(low.dtype).expand(-1, -1, *low.shape[-2:])
        nothing = scaled.new_zeros(scaled.shape[0], EMBEDDING)
        embedding = nothing if self.embed is None else self.embed(scaled)
        first = _run(self.before, self.stem(torch.cat([low, planes], 1)), embedding, recompute)
        coarse = _run(self.middle, self.down(first), embedding, recompute)
        fine = shuffled_onto(first, coarse, self.up)
        fine = _run(self.after, fine, embedding, recompute)
        residual = F.pixel_shuffle(self.out(fine), self.scale) / RESIDUAL_SCALE
        # Heads do not bend the features: how large errors are must not cost what they are.
        log_deviation = self.head(fine.detach())
        bounds = math.log(LEAST_DEVIATION), math.log(LARGEST_DEVIATION)
        base = self.enlarge(low, self.scale)
        return _MeanOutput(
            base + residual.to(base.dtype),
            log_deviation.float().clamp(*bounds),
            fine,
            coarse,
        )


class ResidualDenoiser(nn.Module):
    """Noisy luma of unit variance, its noise and the mean's features to a prediction."""

    frequencies: Tensor

    def __init__(self, params: MeanDenoiserParams, scale: int, entropies: int) -> None:
        super().__init__()
        self.scale = scale
        width, wide = params.denoiser_channels, 2 * params.denoiser_channels
        before, middle, after = params.denoiser_blocks
        frequencies = torch.logspace(-2, 3, FREQUENCIES, base=2.0)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.embed = _embedding(2 * FREQUENCIES + entropies)
        self.fine = nn.Conv2d(params.mean_channels + 1, width, 3, padding=1)
        self.coarse = nn.Conv2d(2 * params.mean_channels, wide, 1)
        self.stem = nn.Conv2d(scale**2, width, 3, padding=1)
        self.before = _blocks(before, width)
        self.down = nn.Conv2d(width, wide, 2, stride=2)
        self.middle = _blocks(middle, wide)
        self.up = nn.Conv2d(wide, 4 * width, 1)
        self.after = _blocks(after, width)
        self.out = _zeroed(nn.Conv2d(width, scale**2, 3, padding=1))

    def project(self, fine: Tensor, coarse: Tensor, log_deviation: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean's features in the widths of this network, for all its evaluations."""
        centered = (log_deviation - math.log(FIRST_DEVIATION)).to(fine.dtype)
        return self.fine(beside(fine, centered)), self.coarse(coarse)

    def forward(
        self, x: Tensor, log_noise: Tensor, conditions: MeanConditions, recompute: bool
    ) -> Tensor:
        """Predict; see `MeanDenoiser.forward`."""
        height, width = x.shape[-2:]
        rows, columns = (edge * self.scale for edge in conditions.fine.shape[-2:])
        if (rows, columns) != (height, width):
            x = F.pad(x, (0, columns - width, 0, rows - height), mode="replicate")
        waves = log_noise[:, None].float() * self.frequencies
        scaled = 2 * conditions.entropy - 1
        embedding = self.embed(torch.cat([waves.sin(), waves.cos(), scaled], 1))
        hidden = self.stem(F.pixel_unshuffle(x, self.scale))
        hidden = added(hidden, conditions.fine.to(hidden.dtype))
        hidden = _run(self.before, hidden, embedding, recompute)
        coarse = self.down(hidden)
        coarse = added(coarse, conditions.coarse.to(coarse.dtype))
        coarse = _run(self.middle, coarse, embedding, recompute)
        hidden = shuffled_onto(hidden, coarse, self.up)
        hidden = _run(self.after, hidden, embedding, recompute)
        output = F.pixel_shuffle(self.out(hidden), self.scale)
        return output[..., :height, :width].contiguous()


class ConditionedBlock(nn.Module):
    """A residual block of two convolutions whose input is normalised, scaled and shifted.

    The norm is over the channels of each pixel: it knows nothing of other pixels, so a window of a
    picture and the whole of it are treated alike.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.modulation = _zeroed(nn.Linear(EMBEDDING, 2 * channels))
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = _zeroed(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, C, H, W), (B, D) -> (B, C, H, W)."""
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        hidden = activate(self.first(modulated_norm(x, scale, shift, eps=1e-4)))
        return added(self.second(hidden), x)


def interpolated(low: Tensor, scale: int) -> Tensor:
    """Return pictures enlarged by bicubic interpolation (Keys, a = -0.5), (B, 3, h s, w s)."""
    if scale == 1:
        return low
    return F.interpolate(low.float(), scale_factor=scale, mode="bicubic", antialias=True)


def _enlarged(x: Tensor, scale: int) -> Tensor:
    if scale == 1:
        return x
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


def _even(low: Tensor) -> Tensor:
    """Return pictures whose last row and column are repeated where there is an odd number."""
    missing = (0, low.shape[-1] % 2, 0, low.shape[-2] % 2)
    low = F.pad(low, missing, mode="replicate") if any(missing) else low
    return low.contiguous(memory_format=torch.channels_last)


def _embedding(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING), nn.SiLU()
    )


def _blocks(count: int, channels: int) -> nn.ModuleList:
    return nn.ModuleList([ConditionedBlock(channels) for _ in range(count)])


def _run(blocks: nn.ModuleList, x: Tensor, embedding: Tensor, recompute: bool) -> Tensor:
    for block in blocks:
        if recompute and torch.is_grad_enabled():
            x = checkpoint(block, x, embedding, use_reentrant=False)
        else:
            x = block(x, embedding)
    return x


def _zeroed(module: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """Return a layer that begins as zero, so that what it is added to passes unchanged."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module
