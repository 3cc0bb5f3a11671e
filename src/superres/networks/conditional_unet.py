"""The U-Net conditioned on a low-resolution picture and on how strongly it was corrupted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from superres.networks.absent_entropies import absorbed
from superres.networks.layers import ResBlock, convolutions_in
from superres.networks.unet import UNet

if TYPE_CHECKING:  # without pydantic, torch alone is enough
    from superres.networks.config import UNetParams


def upsample(low: Tensor, size: tuple[int, int] | torch.Size, mode: str = "bilinear") -> Tensor:
    """Return low-resolution pictures at a size (H, W); `bilinear`, as the recipe, or `bicubic`.

    Pictures that have that size are returned as they are.
    """
    if low.shape[-2:] == tuple(size):
        return low
    return F.interpolate(low, size, mode=mode, align_corners=False)


class SuperResUNet(UNet):
    """A U-Net whose input is the noisy signal, the upsampled picture and entropy planes.

    Args:
        params: widths, blocks and options.
        entropies: number of corruption entropies.
        out_channels: of the prediction, as the diffusion needs them.
        classes: see `UNet`.
        channels: of what is diffused.
    """

    def __init__(
        self,
        params: UNetParams,
        entropies: int,
        out_channels: int,
        classes: int | None = None,
        channels: int = 3,
    ) -> None:
        super().__init__(params, channels + 3 + entropies, out_channels, classes)
        self.entropies = entropies
        self.out_channels = out_channels
        self.pictures = channels + 3

    sees_log_noise = False

    def block_convolutions(self) -> list[str]:
        """Return the weights of the residual blocks' convolutions; see `Network`."""
        return convolutions_in(self, ResBlock)

    def entropy_inputs(self) -> dict[str, tuple[int, int]]:
        """Return where the planes enter; see `Network`."""
        area = self.unshuffle**2
        return {"input_blocks.0.0.weight": (self.pictures * area, area)}

    def without_entropies(
        self, weights: Mapping[str, Tensor], places: Collection[int]
    ) -> dict[str, Tensor]:
        """Leave out their planes, which would be 0; see `Network`."""
        return absorbed(weights, self.entropy_inputs(), places, 0.0)

    def distilled(self) -> list[str]:
        """Return all weights; see `Network`."""
        return [name for name, _ in self.named_parameters()]

    def prepare(
        self, low: Tensor, size: tuple[int, int], entropy: Tensor, label: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the upsampled pictures, the entropies and the label; see `Network`."""
        return upsample(low, size), entropy, label

    def lighten(self, conditions: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the conditions as they are."""
        return conditions

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        timesteps: Tensor,
        low: Tensor,
        entropy: Tensor,
        label: Tensor | None = None,
    ) -> Tensor:
        """Predict.

        Args:
            x: noisy signal, (B, C, H, W).
            timesteps: (B,).
            low: low-resolution pictures in [-1, 1], (B, 3, h, w); upsampled to H x W, which a
                caller can have done once for many evaluations.
            entropy: corruption entropies in [0, 1], (B, K), in the model's order.
            label: classes, (B,), or None; see `UNet.forward`.

        Returns:
            (B, out_channels, H, W).

        Raises:
            ValueError: not as many entropies as the network has planes; a label it cannot take.
        """
        if entropy.shape != (x.shape[0], self.entropies):
            raise ValueError(
                f"expected entropies of shape {(x.shape[0], self.entropies)}, "
                f"got {tuple(entropy.shape)}"
            )
        size = x.shape[-2:]
        planes = entropy[:, :, None, None].to(x.dtype).expand(-1, -1, *size)
        conditioned = torch.cat([x, upsample(low, size), planes], dim=1)
        return super().forward(conditioned, timesteps, label)
