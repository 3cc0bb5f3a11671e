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

FOCUSES, SHOWN, WIDTH = 8, 16, 128
"""Of a picture's context: means over the clearest cells, numbers of each, units of its head."""

CLEAREST = 8.0
"""Largest logarithm of a cell's weight among others, so that weights can be added up."""

_HALVES = ((0, 0), (0, CELL // 2), (CELL // 2, 0), (CELL // 2, CELL // 2))


class EntropyNetwork(nn.Module):
    """Says which entropies of each corruption a picture speaks for.

    It sees the logarithms of cosine coefficients: how fine detail fades is what blur leaves, and
    which coefficients are nothing is what JPEG leaves. Blocks half a cell away show the edges
    between JPEG's own, wherever the picture was cut.

    What its cells say is added up (`forward`), so it works on any size, and on parts of a picture
    one after the other; `posterior` weighs the sum. Cells vote, and tell what a picture is like
    on the whole: means and deviations of their features, and means over the cells that speak
    most clearly (of its sharpest edges, say), which tell a soft photograph from a blurred one.

    Args:
        corruptions: how many.
        channels: width.
        dropout: share of features withheld in training.
        context: whether cells tell more than votes; estimators of the first format have none.
    """

    basis: Tensor
    colours: Tensor

    def __init__(
        self, corruptions: int, channels: int, dropout: float = 0.0, context: bool = True
    ) -> None:
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
        self.corruptions = corruptions
        self.context = None
        if corruptions:  # else it is never asked, and PyTorch warns of a convolution to no channels
            self.body.append(nn.Conv2d(channels, corruptions * LEVELS, 1))
            self.context = _Context(corruptions, channels, dropout) if context else None

    def forward(self, low: Tensor) -> Tensor:
        """Return what all cells say, added up: (B, numbers), the first of them how many cells.

        Args:
            low: pictures in [-1, 1], (B, 3, h, w), any h and w from `CELL` on; parts of cells at
                the right and lower edge are left out.
        """
        features = self.body[:-1](self._features(low))
        cells = features.new_full((len(low), 1), features[0, 0].numel())
        said = [cells, self.body[-1](features).sum(dim=(2, 3))]
        if self.context is not None:
            said += self.context.sums(features)
        return torch.cat(said, dim=1)

    def posterior(self, said: Tensor) -> Tensor:
        """Return logarithms of the levels' probabilities, (B, corruptions, LEVELS).

        Cells of one picture resemble each other: a thousand of them say more than sixteen, but
        not as much as a thousand independent ones would; their votes count by the root of their
        number.

        Args:
            said: of `forward`, or the sum of what it returned for parts of the same pictures.
        """
        cells, votes, context = said.split(
            (1, self.corruptions * LEVELS, said.shape[1] - 1 - self.corruptions * LEVELS), dim=1
        )
        weighed = votes / cells.sqrt()
        if self.context is not None:
            weighed = weighed + self.context(cells, context)
        return torch.log_softmax(weighed.unflatten(1, (-1, LEVELS)), dim=-1)

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


class _Context(nn.Module):
    """What a picture is like on the whole, and what follows from it for its entropies."""

    def __init__(self, corruptions: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.clear = nn.Conv2d(channels, FOCUSES, 1)
        self.shown = nn.Conv2d(channels, FOCUSES * SHOWN, 1)
        self.widths = (channels, channels, FOCUSES, FOCUSES * SHOWN)
        self.head = nn.Sequential(
            nn.Linear(2 * channels + FOCUSES * SHOWN, WIDTH),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(WIDTH, WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, corruptions * LEVELS),
        )

    def sums(self, features: Tensor) -> list[Tensor]:
        """Return sums over cells of the widths `widths`, each (B, width).

        Args:
            features: (B, channels, cells down, cells across).
        """
        clear = CLEAREST * torch.tanh(self.clear(features) / CLEAREST)
        weights = clear.exp().flatten(2)
        shown = self.shown(features).flatten(2).unflatten(1, (FOCUSES, SHOWN))
        weighted = (weights[:, :, None] * shown).sum(dim=3).flatten(1)
        flat = features.flatten(2)
        return [flat.sum(dim=2), flat.square().sum(dim=2), weights.sum(dim=2), weighted]

    def forward(self, cells: Tensor, sums: Tensor) -> Tensor:
        """Return (B, corruptions * LEVELS), to be added to the votes.

        Args:
            cells: how many there were, (B, 1).
            sums: of all of them, as `sums` returns them side by side.
        """
        total, squares, weights, weighted = sums.split(self.widths, dim=1)
        mean = total / cells
        deviation = (squares / cells - mean.square()).clamp_min(0).add(1e-4).sqrt()
        shown = weighted.unflatten(1, (FOCUSES, SHOWN)) / weights[..., None]
        result: Tensor = self.head(torch.cat([mean, deviation, shown.flatten(1)], dim=1))
        return result


def _cosines() -> Tensor:
    """Return the orthonormal 8 x 8 cosine basis, (64, 1, 8, 8)."""
    frequency = torch.arange(CELL)[:, None]
    rows = torch.cos(math.pi * (2 * torch.arange(CELL) + 1) * frequency / (2 * CELL))
    rows *= torch.where(frequency == 0, math.sqrt(1 / CELL), math.sqrt(2 / CELL))
    return torch.einsum("ki,lj->klij", rows, rows).reshape(CELL**2, 1, CELL, CELL)
