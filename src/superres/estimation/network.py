"""A small network that says how strongly a picture was corrupted, wherever it can tell."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn

CELL = 8
"""Pixels of the input per cell and direction; JPEG's blocks have as many."""

PRIOR_PRECISION = 12.0
"""Of a uniform number in [0, 1]."""

# ITU-R BT.601 as JPEG has it: luma and two colour differences of RGB.
_COLOURS = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))
_HALVES = ((0, 0), (0, CELL // 2), (CELL // 2, 0), (CELL // 2, CELL // 2))


class StrengthNetwork(nn.Module):
    """Says for each cell of a picture what it shows of each corruption, and how surely.

    It sees the logarithms of cosine coefficients: how fine detail fades is what blur leaves, and
    which coefficients are nothing is what JPEG leaves. Blocks half a cell away show the edges
    between JPEG's own, wherever the picture was cut.

    A flat cell shows nothing and says so; what all cells say is put together as independent
    observations of one number are (`pooled`), so it works on any size, and on parts of a picture
    one after the other.

    Args:
        corruptions: how many.
        channels: width.
        dropout: share of features withheld in training.
    """

    basis: Tensor
    colours: Tensor

    def __init__(self, corruptions: int, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("basis", _cosines(), persistent=False)
        self.register_buffer("colours", torch.tensor(_COLOURS)[:, :, None, None], persistent=False)
        features = len(_HALVES) * len(_COLOURS) * CELL**2
        self.body = nn.Sequential(
            nn.Conv2d(features, channels, 1),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Conv2d(channels, channels, 1),
            nn.SiLU(),
            nn.Conv2d(channels, 2 * corruptions, 1),
        )

    def forward(self, low: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of precisions and the precision-weighted sum of strengths.

        Args:
            low: pictures in [-1, 1], (B, 3, h, w), any h and w from `CELL` on; parts of cells at
                the right and lower edge are left out.

        Returns:
            Two tensors (B, corruptions).
        """
        # From the middle: were it pulled to 0, saying nothing at all would be learned first.
        strengths, precisions = self.body(self._features(low)).chunk(2, dim=1)
        strengths, precisions = 0.5 + strengths, F.softplus(precisions)
        return precisions.sum(dim=(2, 3)), (precisions * strengths).sum(dim=(2, 3))

    def _features(self, low: Tensor) -> Tensor:
        """Return (B, features, cells down, cells across)."""
        height, width = (edge // CELL * CELL for edge in low.shape[-2:])
        levels = 127.5 * F.conv2d(low[..., :height, :width], self.colours)
        padded = F.pad(levels, (0, CELL // 2, 0, CELL // 2), mode="replicate")
        features = []
        for down, across in _HALVES:
            part = padded[..., down : down + height, across : across + width]
            part = part.reshape(-1, 1, height, width)
            coefficients = F.conv2d(part, self.basis, stride=CELL)
            shape = (len(low), -1, height // CELL, width // CELL)
            features.append(coefficients.abs().log1p().reshape(shape) - 1)
        return torch.cat(features, dim=1)


def pooled(precision: Tensor, weighted: Tensor) -> Tensor:
    """Return the strengths that follow from what was summed, starting from "any in [0, 1]"."""
    return (0.5 * PRIOR_PRECISION + weighted) / (PRIOR_PRECISION + precision)


def _cosines() -> Tensor:
    """Return the orthonormal 8 x 8 cosine basis, (64, 1, 8, 8)."""
    frequency = torch.arange(CELL)[:, None]
    rows = torch.cos(math.pi * (2 * torch.arange(CELL) + 1) * frequency / (2 * CELL))
    rows *= torch.where(frequency == 0, math.sqrt(1 / CELL), math.sqrt(2 / CELL))
    return torch.einsum("ki,lj->klij", rows, rows).reshape(CELL**2, 1, CELL, CELL)
