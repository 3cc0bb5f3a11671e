"""Gaussian noise that belongs to an item, so that batching never changes a result."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class ItemNoise:
    """A source of noise for a batch in which every item has its own random stream.

    Args:
        seeds: one seed per item (`superres.seeding.derive_seed`).
        shape: (C, H, W) of one item.
        device: where the noise is drawn; streams differ between kinds of device.
    """

    def __init__(
        self, seeds: Sequence[int], shape: Sequence[int], device: torch.device | str = "cpu"
    ) -> None:
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._shape = tuple(shape)
        self._device = device

    def __call__(self) -> Tensor:
        """Return the next draw of every item, (B, C, H, W)."""
        noise = torch.empty(len(self._generators), *self._shape, device=self._device)
        for item, generator in zip(noise, self._generators, strict=True):
            item.normal_(generator=generator)
        return noise
