"""The inputs of a benchmark, and bicubic interpolation as papers measure it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from superres.core.errors import SuperresError
from superres.core.seeding import rng
from superres.degradation.chain import Degradation
from superres.degradation.degrade import degrade, draw_entropies
from superres.degradation.imresize import imresize
from superres.metrics.papers import table_luma

DRAWN = "drawn"
"""What a protocol says of entropies that are drawn for each picture."""


@dataclass(frozen=True)
class Protocol:
    """How inputs are made of originals and how much is left out of the figures."""

    degradation: Degradation
    entropies: Mapping[str, float] = field(default_factory=dict)
    """For each corruption of the degradation, or for none of them."""
    drawn: bool = False
    """Whether each picture's entropies are drawn as the degradation says, instead of those."""
    border: int | None = None
    """Pixels left out at each edge; None for the scale."""

    @property
    def scale(self) -> int:
        """Edge of an original over the edge of its input."""
        return self.degradation.scale

    @property
    def left_out(self) -> int:
        """Pixels left out at each edge."""
        return self.scale if self.border is None else self.border

    @property
    def classical(self) -> bool:
        """Whether it is the papers': MATLAB's bicubic, no corruption, a border of the scale."""
        plain = self.degradation.downsampling == "bicubic" and not self.degradation.corruptions
        return plain and self.left_out == self.scale

    def described(self) -> dict[str, Any]:
        """Return all of it, as JSON holds it."""
        return {
            "degradation": self.degradation.to_json(),
            "entropies": DRAWN if self.drawn else dict(self.entropies),
            "border": self.left_out,
        }


def papers_protocol(scale: int, border: int | None = None) -> Protocol:
    """Return what papers do at a scale."""
    return Protocol(Degradation(scale, 1.0, (), downsampling="bicubic"), border=border)


def cut_to_multiple(original: np.ndarray, scale: int) -> np.ndarray:
    """Return an original (H x W x 3) without what is over at its right and lower edge: `modcrop`.

    Raises:
        SuperresError: nothing is left.
    """
    height, width = (edge // scale * scale for edge in original.shape[:2])
    if not height or not width:
        raise SuperresError(f"{original.shape[1]} x {original.shape[0]} pixels for scale {scale}")
    return original[:height, :width]


def make_input(
    original: np.ndarray, protocol: Protocol, item: str
) -> tuple[np.ndarray, dict[str, float]]:
    """Return the input of a whole photograph, uint8, H/scale x W/scale x 3; its true entropies.

    Args:
        original: uint8, H x W x 3, multiples of the scale.
        protocol: how.
        item: what is drawn, entropies and what corruptions draw, follows from this and the
            degradation's seed.
    """
    degradation = protocol.degradation
    entropies = protocol.entropies
    if protocol.drawn:
        entropies = draw_entropies(degradation, rng(degradation.seed, "benchmark", item))
    return degrade(degradation, original, entropies, item)


def check_size(low: np.ndarray, original: np.ndarray, scale: int) -> None:
    """Refuse an input that does not belong to an original.

    Raises:
        SuperresError: naming both sizes.
    """
    wanted = tuple(edge // scale for edge in original.shape[:2])
    if low.shape[:2] != wanted:
        raise SuperresError(
            f"the input has {low.shape[1]} x {low.shape[0]} pixels, wanted "
            f"{wanted[1]} x {wanted[0]}: its original, cut to multiples of {scale}, over {scale}"
        )


def bicubic_luma(original: np.ndarray, scale: int, grey: bool) -> np.ndarray:
    """Return luma made smaller and larger again as papers measure bicubic: uint8, H x W.

    Their scripts do it with luma alone, rounded to 8 bits at the end but not in between.

    Args:
        original: uint8, H x W x 3, multiples of the scale.
        scale: of the input.
        grey: see `table_luma`.
    """
    luma = table_luma(original, grey)[:, :, None].astype(np.float64)
    large = imresize(imresize(luma, 1, scale, "bicubic"), scale, 1, "bicubic")
    return _rounded(large[:, :, 0])


def enlarged(low: np.ndarray, scale: int) -> np.ndarray:
    """Return an input (uint8, h x w x 3) enlarged by MATLAB's bicubic, uint8, H x W x 3."""
    return _rounded(imresize(low.astype(np.float64), scale, 1, "bicubic"))


def _rounded(levels: np.ndarray) -> np.ndarray:
    return np.floor(np.clip(levels, 0, 255) + 0.5).astype(np.uint8)
