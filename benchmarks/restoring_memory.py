"""What restoring a picture holds in memory, counted: bytes per pixel, window and weight.

    PYTHONPATH=src python benchmarks/restoring_memory.py [MODEL]   # by default the small U-Net

Every tensor is counted from the operation that makes it to its end, so the numbers are those of
any device. What a device adds is not in them: its context, libraries' scratch space, and memory
that an allocator keeps or cannot use. Pictures are small and bands narrow, which changes no number.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from superres.config.check import check_params
from superres.model.folder import ModelSpec, SuperResolver, load_model
from superres.restoration import tiled
from superres.restoration.job import Tiling
from superres.restoration.picture import from_array
from superres.restoration.restorer import Restorer
from superres.sampling.batch import Sampling
from superres.sampling.samplers import SAMPLERS
from superres.training.live_tensors import LiveTensors

BAND_PIXELS = 2**14
WIDTH, HEIGHTS = 256, (256, 1024)
"""Of the pictures whose difference is what a pixel costs: 4 and 16 bands of one shape."""


class Cost(NamedTuple):
    """Bytes that a way of restoring holds beside the network's evaluation."""

    per_pixel: float
    """Of the restored picture."""
    per_band_pixel: float
    """Of the largest band, in addition."""


def window_bytes(model: SuperResolver, window: int = 64, batch: int = 2) -> float:
    """Return what evaluating the network holds per pixel of all windows evaluated at once."""
    low = torch.zeros(batch, 3, window // model.spec.scale, window // model.spec.scale)
    x, timesteps = torch.zeros(batch, 3, window, window), torch.zeros(batch, dtype=torch.long)
    entropy = torch.zeros(batch, len(model.spec.entropies))
    with torch.no_grad(), LiveTensors() as live:
        model.condition(low, entropy)(x, timesteps)
    return live.peak / (batch * window**2)


def cost(model: SuperResolver, how: Sampling | None, level: int = 127) -> Cost:
    """Return what a sampler holds per pixel, the network replaced by one that costs nothing.

    Args:
        model: whose signal is restored.
        how: None for the estimate.
        level: of every pixel of the picture; 0 and 255 are limited as is documented.
    """
    few, many = (_peak(model, how, height, level) for height in HEIGHTS)
    per_pixel = (many - few) / (WIDTH * (HEIGHTS[1] - HEIGHTS[0]))
    return Cost(per_pixel, (few - per_pixel * WIDTH * HEIGHTS[0]) / BAND_PIXELS)


def _peak(model: SuperResolver, how: Sampling | None, height: int, level: int) -> int:
    restorer = Restorer(model, Tiling(64, 1), "no estimator")
    size = height // model.spec.scale, WIDTH // model.spec.scale
    picture = from_array(np.full((*size, 3), level, np.uint8))
    with _counted() as live:
        restorer.run(picture, dict.fromkeys(restorer.corruptions, 0.5), how)
    return live.peak


@contextmanager
def _counted() -> Iterator[LiveTensors]:
    """Count what is held beside the network, in narrow bands."""

    def nothing(*_: Any) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda x, _: torch.cat([x, x], 1)

    with (
        mock.patch.object(tiled, "bind", nothing),
        mock.patch.object(tiled, "BAND_PIXELS", BAND_PIXELS),
        LiveTensors() as live,
    ):
        yield live


def default_model() -> SuperResolver:
    """Return an untrained small U-Net."""
    presets = Path(__file__).resolve().parent.parent / "presets"
    params = check_params(presets / "small-unet.yaml")
    return SuperResolver(
        ModelSpec(
            format="superres-1",
            model=params.model,
            diffusion=params.diffusion,
            scale=params.degrade.scale,
            entropies=[corruption.name for corruption in params.degrade.corruptions],
            degradation={},
            dropped=[],
            provenance={},
        )
    )


def main() -> None:
    """Print the formula with the numbers of a model."""
    model = load_model(sys.argv[1]) if sys.argv[1:] else default_model()
    weights = sum(weight.nbytes for weight in model.network.parameters())
    print(f"bytes <= {weights} + {window_bytes(model):.0f} * batch * window^2")
    print("         + a * pixels + b * max(2^20, pixels / 32), where, by sampler:")
    for name in ("estimate", *SAMPLERS):
        spent = cost(model, None if name == "estimate" else Sampling(name, 3))
        print(f"{name:<14}a = {spent.per_pixel:5.1f}  b = {spent.per_band_pixel:5.1f}")


if __name__ == "__main__":
    main()
