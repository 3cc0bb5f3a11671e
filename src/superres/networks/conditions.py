"""What a network sees in the place of a condition that is dropped.

Networks trained with dropped conditions can be guided (`superres.sampling.guidance`), and restore
pictures whose corruption nobody knows.
"""

from __future__ import annotations

import torch
from torch import Tensor

UNKNOWN_ENTROPY = -1.0
"""On an entropy plane: nobody knows. Not 0, which says that there is no corruption."""


def drop_low(low: Tensor, dropped: Tensor | bool = True) -> Tensor:
    """Return low-resolution pictures, (B, 3, h, w), with those of `dropped`, (B,), mid-grey."""
    return _replaced(low, dropped, 0.0)


def drop_entropies(entropy: Tensor, dropped: Tensor | bool = True) -> Tensor:
    """Return entropies, (B, K), with all those of the pictures of `dropped`, (B,), unknown."""
    return _replaced(entropy, dropped, UNKNOWN_ENTROPY)


def _replaced(values: Tensor, dropped: Tensor | bool, by: float) -> Tensor:
    if isinstance(dropped, Tensor):
        dropped = dropped.view(-1, *[1] * (values.ndim - 1))
        return torch.where(dropped, by, values)
    return torch.full_like(values, by) if dropped else values
