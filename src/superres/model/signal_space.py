"""What is diffused: the picture itself, or something from which the picture follows.

A signal belongs to one batch of pictures: what it needs of their conditions is computed once.
Adding one is a class and a row in `SIGNALS`, beside its name in `superres.diffusion.config`.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Protocol

from torch import Tensor

from superres.diffusion.config import DiffusionParams
from superres.diffusion.variational import Levels
from superres.networks.conditional_unet import upsample


class Signal(Protocol):
    """What is diffused for a batch of pictures.

    Args:
        settings: the process's params.
        low: low-resolution pictures in [-1, 1], (B, 3, h, w).
        size: height and width of the restored pictures.
    """

    channels: ClassVar[int]
    """C of what is diffused."""

    def __init__(self, settings: DiffusionParams, low: Tensor, size: tuple[int, int]) -> None: ...

    def encode(self, high: Tensor) -> Tensor:
        """Return what is diffused, (B, C, H, W), for originals in [-1, 1], (B, 3, H, W)."""

    def decode(self, x: Tensor) -> Tensor:
        """Return pictures, (B, 3, H, W), from what is diffused; the inverse of `encode`."""

    def clip(self, x0: Tensor) -> Tensor:
        """Return predictions of what is diffused, limited so that pictures are in [-1, 1]."""

    def levels(self, high: Tensor) -> Levels:
        """Return where the 8-bit levels of originals lie in what is diffused for them."""


class PictureSignal:
    """The picture itself; see `Signal`."""

    channels: ClassVar[int] = 3

    def __init__(self, settings: DiffusionParams, low: Tensor, size: tuple[int, int]) -> None:
        pass

    def encode(self, high: Tensor) -> Tensor:
        """Return the pictures."""
        return high

    def decode(self, x: Tensor) -> Tensor:
        """Return the pictures."""
        return x

    def clip(self, x0: Tensor) -> Tensor:
        """Return pictures in [-1, 1]."""
        return x0.clamp(-1, 1)

    def levels(self, high: Tensor) -> Levels:
        """Return the levels of pictures."""
        return Levels.of(high)


class ResidualSignal:
    """The scaled difference from the upsampled low-resolution picture; see `Signal`."""

    channels: ClassVar[int] = 3

    def __init__(self, settings: DiffusionParams, low: Tensor, size: tuple[int, int]) -> None:
        self._scale = settings.residual_scale
        self._mode = settings.residual_base
        self._low, self._size = low, size

    @cached_property
    def _base(self) -> Tensor:
        return upsample(self._low, self._size, self._mode)

    def encode(self, high: Tensor) -> Tensor:
        """Return the residual of originals."""
        return (high - self._base) * self._scale

    def decode(self, x: Tensor) -> Tensor:
        """Return the pictures that have this residual."""
        return self._base + x / self._scale

    def clip(self, x0: Tensor) -> Tensor:
        """Return residuals of pictures in [-1, 1]."""
        base, scale = self._base, self._scale
        return (x0 / scale).add_(base).clamp_(-1, 1).sub_(base).mul_(scale)

    def levels(self, high: Tensor) -> Levels:
        """Return the levels, as far apart as the residual is scaled."""
        return Levels.of(high, self._scale)


SIGNALS: dict[str, type[Signal]] = {"picture": PictureSignal, "residual": ResidualSignal}
"""By `diffusion.target`."""
