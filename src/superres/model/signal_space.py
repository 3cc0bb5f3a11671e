"""What is diffused: the picture itself, or something from which the picture follows.

A signal belongs to one batch of pictures: what it needs of their conditions is computed once.
Adding one is a class and a row in `SIGNALS`, beside its name in `superres.diffusion.config`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, Protocol

from torch import Tensor

from superres.core.color import BT601
from superres.core.errors import SuperresError
from superres.diffusion.config import DiffusionParams
from superres.diffusion.variational import Levels
from superres.networks.conditional_unet import upsample
from superres.networks.mean_denoiser import MeanConditions

SHADING = 0.8
"""How much of the change in colour that a change of light makes goes with sampled texture: at 1,
all channels change by the same share, but for `DARK`."""
DARK = 64 / 127.5
"""Added to luma there, in the units of pictures: the darkest colours mean little."""
LIMIT = 6.0
"""Deviations that luma may differ from its mean by."""


class Signal(Protocol):
    """What is diffused for a batch of pictures.

    Args:
        settings: the process's params.
        low: low-resolution pictures in [-1, 1], (B, 3, h, w).
        size: height and width of the restored pictures.
        conditions: returns what the network's `prepare` gave for these pictures, computed once.
    """

    channels: ClassVar[int]
    """C of what is diffused."""
    needs: ClassVar[tuple[str, ...]]
    """Names of those of the network's conditions, each (B, c, H, W), that it is made with."""

    def __init__(
        self,
        settings: DiffusionParams,
        low: Tensor,
        size: tuple[int, int],
        conditions: Callable[[], Any],
    ) -> None: ...

    def encode(self, high: Tensor) -> Tensor:
        """Return what is diffused, (B, C, H, W), for originals in [-1, 1], (B, 3, H, W)."""

    def decode(self, x: Tensor) -> Tensor:
        """Return pictures, (B, 3, H, W), from what is diffused; the inverse of `encode`."""

    def clip(self, x0: Tensor) -> Tensor:
        """Return predictions of what is diffused, limited so that pictures are in [-1, 1]."""

    def levels(self, high: Tensor) -> Levels:
        """Return where the 8-bit levels of originals lie in what is diffused for them.

        Raises:
            SuperresError: they have no place there.
        """

    def mean(self) -> Tensor | None:
        """Return the posterior's mean, (B, 3, H, W), where it is known without the denoiser."""


class PictureSignal:
    """The picture itself; see `Signal`."""

    channels: ClassVar[int] = 3
    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        settings: DiffusionParams,
        low: Tensor,
        size: tuple[int, int],
        conditions: Callable[[], Any],
    ) -> None:
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

    def mean(self) -> None:
        """Return None: it takes the denoiser."""


class ResidualSignal:
    """The scaled difference from the upsampled low-resolution picture; see `Signal`."""

    channels: ClassVar[int] = 3
    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        settings: DiffusionParams,
        low: Tensor,
        size: tuple[int, int],
        conditions: Callable[[], Any],
    ) -> None:
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

    def mean(self) -> None:
        """Return None: it takes the denoiser."""


class ScaledLumaSignal:
    """What luma differs from the mean network's, over its local deviation; see `Signal`.

    The chroma of restored pictures is the mean's, which it follows in brightness by `SHADING`:
    texture is light and shade, and grey texture on a coloured thing looks like dust. Grain of
    colour cannot arise. So `decode` returns the originals' luma alone.
    """

    channels: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("mean", "log_deviation")

    def __init__(
        self,
        settings: DiffusionParams,
        low: Tensor,
        size: tuple[int, int],
        conditions: Callable[[], MeanConditions],
    ) -> None:
        self._make_conditions = conditions

    @cached_property
    def _conditions(self) -> MeanConditions:
        return self._make_conditions()

    @cached_property
    def _deviation(self) -> Tensor:
        return self._conditions.log_deviation.exp()

    @cached_property
    def _grey(self) -> Tensor:
        return luma(self._conditions.mean)

    @cached_property
    def _shading(self) -> Tensor:
        """What each channel of the picture changes by where luma changes by 1."""
        grey = self._grey
        return 1 + SHADING * (self._conditions.mean - grey) / (grey.clamp(min=-1) + 1 + DARK)

    def encode(self, high: Tensor) -> Tensor:
        """Return the scaled luma of originals, in [-6, 6]."""
        difference = luma(high) - self._grey
        return (difference / self._deviation).clamp(-LIMIT, LIMIT)

    def decode(self, x: Tensor) -> Tensor:
        """Return the pictures whose luma differs so from the mean's."""
        return self._conditions.mean + x * self._deviation * self._shading

    def clip(self, x0: Tensor) -> Tensor:
        """Return predictions in the range of what was diffused in training."""
        return x0.clamp(-LIMIT, LIMIT)

    def levels(self, high: Tensor) -> Levels:
        """Refuse: a density of luma alone is none of pictures."""
        raise SuperresError(
            "diffusion.target 'scaled_luma' has no likelihood of pictures: luma alone is diffused"
        )

    def mean(self) -> Tensor:
        """Return the mean network's picture, in [-1, 1]."""
        return self._conditions.mean.clamp(-1, 1)


def luma(picture: Tensor) -> Tensor:
    """Return BT.601 luma of RGB, (B, 3, H, W) -> (B, 1, H, W), in the same units."""
    red, green, blue = picture.split(1, dim=1)
    return BT601[0] * red + BT601[1] * green + BT601[2] * blue


SIGNALS: dict[str, type[Signal]] = {
    "picture": PictureSignal,
    "residual": ResidualSignal,
    "scaled_luma": ScaledLumaSignal,
}
"""By `diffusion.target`."""
