"""A small network that says which entropies of corruption a picture speaks for."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn

from superres.core.color import YCBCR

CELL = 8
"""Pixels of the input per cell and direction; JPEG's blocks have as many."""

LEVELS = 17
"""Entropies that are distinguished, evenly from 0 to 1; 0 and 1 are among them."""

_HALVES = ((0, 0), (0, CELL // 2), (CELL // 2, 0), (CELL // 2, CELL // 2))


class EntropyNetwork(nn.Module):
    """Says for each cell of a picture which entropies of each corruption it speaks for.

    It sees the logarithms of cosine coefficients: how fine detail fades is what blur leaves, and
    which coefficients are nothing is what JPEG leaves. Blocks half a cell away show the edges
    between JPEG's own, wherever the picture was cut.

    A flat cell speaks for none. The cells' votes are added (`posterior` weighs their sum), so it
    works on any size, and on parts of a picture one after the other.

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
        self.register_buffer("colours", torch.tensor(YCBCR)[:, :, None, None], persistent=False)
        features = len(_HALVES) * len(YCBCR) * CELL**2
        self.body = nn.Sequential(
            nn.Conv2d(features, channels, 1),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Conv2d(channels, channels, 1),
            nn.SiLU(),
        )
        if corruptions:  # else it is never asked, and PyTorch warns of a convolution to no channels
            self.body.append(nn.Conv2d(channels, corruptions * LEVELS, 1))

    def forward(self, low: Tensor) -> Tensor:
        """Return the sum of all cells' votes, (B, corruptions, LEVELS).

        Args:
            low: pictures in [-1, 1], (B, 3, h, w), any h and w from `CELL` on; parts of cells at
                the right and lower edge are left out.
        """
        votes: Tensor = self.body(self._features(low))
        return votes.sum(dim=(2, 3)).unflatten(1, (-1, LEVELS))

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


def cells_of(low: Tensor) -> int:
    """Return how many cells the network sees in each of these pictures."""
    return (low.shape[-2] // CELL) * (low.shape[-1] // CELL)


def posterior(votes: Tensor, cells: int) -> Tensor:
    """Return logarithms of the levels' probabilities, of the shape of `votes`.

    Cells of one picture resemble each other: a photograph that was soft before it was blurred is
    soft everywhere. A thousand of them therefore say more than sixteen, but not as much as a
    thousand independent ones would; their sum counts by the root of their number.

    Args:
        votes: their sum, (B, corruptions, LEVELS).
        cells: how many voted.
    """
    return torch.log_softmax(votes / math.sqrt(cells), dim=-1)


def _cosines() -> Tensor:
    """Return the orthonormal 8 x 8 cosine basis, (64, 1, 8, 8)."""
    frequency = torch.arange(CELL)[:, None]
    rows = torch.cos(math.pi * (2 * torch.arange(CELL) + 1) * frequency / (2 * CELL))
    rows *= torch.where(frequency == 0, math.sqrt(1 / CELL), math.sqrt(2 / CELL))
    return torch.einsum("ki,lj->klij", rows, rows).reshape(CELL**2, 1, CELL, CELL)
