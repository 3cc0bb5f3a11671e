"""A restoration beside the network of Real-ESRGAN x4plus, in turns, on one thread.

    PYTHONPATH=src OMP_NUM_THREADS=1 python -m benchmarks.gan_time

The network's time does not depend on its weights, so these are random; its layers are those that
the papers describe (ESRGAN, Wang et al. 2018: 23 blocks of three dense blocks of five convolutions,
64 channels that grow by 32; Real-ESRGAN, Wang et al. 2021). It enlarges by 4, what it is compared
with by 2: that is how a photograph of the same content is restored with either.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn

from benchmarks.measuring import Row, show
from superres.model.found import BOX
from superres.restoration.restorer import load

CHANNELS, GROWTH, BLOCKS = 64, 32, 23
SHARE = 0.2
"""Of what a block adds."""


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees what all before it made."""

    def __init__(self) -> None:
        super().__init__()
        grown = [CHANNELS + GROWTH * number for number in range(5)]
        made = [GROWTH] * 4 + [CHANNELS]
        self.layers = nn.ModuleList(
            nn.Conv2d(seen, out, 3, padding=1) for seen, out in zip(grown, made, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 64, H, W) -> (B, 64, H, W)."""
        *first, last = self.layers
        known = x
        for layer in first:
            known = torch.cat([known, F.leaky_relu(layer(known), 0.2)], 1)
        return x + SHARE * last(known)


class ResidualDenseNetwork(nn.Module):
    """Pictures to pictures four times as large."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(DenseBlock() for _ in range(3))) for _ in range(BLOCKS)
        )
        self.body, self.one, self.two, self.high = (
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(4)
        )
        self.last = nn.Conv2d(CHANNELS, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 3, 4 H, 4 W)."""
        x = deep = self.first(x)
        for block in self.blocks:
            deep = deep + SHARE * block(deep)
        x = x + self.body(deep)
        for layer in (self.one, self.two):
            x = F.leaky_relu(layer(F.interpolate(x, scale_factor=2)), 0.2)
        return self.last(F.leaky_relu(self.high(x), 0.2))


def rows(edge: int, rounds: int) -> list[Row]:
    """Return processor seconds for an input of `edge` pixels, all ways in turns."""
    torch.set_num_threads(1)
    network = ResidualDenseNetwork().eval()
    picture = np.random.default_rng(0).integers(90, 150, (edge, edge, 3), np.uint8)
    model, student = load(BOX, device="cpu"), load(BOX, device="cpu", fast=True)
    seen = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    ways: dict[str, Callable[[], object]] = {
        "Real-ESRGAN x4plus, network alone": lambda: network(seen),
        "50 steps": lambda: model.restore(picture, steps=50),
        "10 steps": lambda: model.restore(picture, steps=10),
        "--fast": lambda: student.restore(picture),
        "--estimate": lambda: model.restore(picture, estimate=True),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with torch.no_grad():
        student.restore(picture)
        for _ in range(rounds):
            for name, way in ways.items():
                begin = time.process_time()
                way()
                taken[name].append(time.process_time() - begin)
    return [Row(f"{name}, {edge} px", "s", values) for name, values in taken.items()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--edge", type=int, default=192, help="of the input, px")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    show(rows(asked.edge, asked.rounds))


if __name__ == "__main__":
    main()
