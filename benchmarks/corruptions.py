"""Draws every corruption at growing entropies: `python benchmarks/corruptions.py PHOTO OUT.png`."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from superres.core.images import read_image
from superres.core.seeding import rng
from superres.degradation.corruptions import CORRUPTIONS, quantise

ENTROPIES = (0.0, 0.25, 0.5, 0.75, 1.0)
EDGE = 64
"""Of the picture that is corrupted, in pixels."""


def draw(picture: np.ndarray) -> Figure:
    """Return a figure with two corruptions per row, of a picture in [0, 1], H x W x 3."""
    rows = -(-len(CORRUPTIONS) // 2)
    columns = 2 * len(ENTROPIES)
    figure = Figure(figsize=(columns * 1.0, rows * 1.16), dpi=110, layout="constrained")
    axes = figure.subplots(rows, columns)
    for number, (kind, corrupt) in enumerate(CORRUPTIONS.items()):
        row, side = number % rows, number // rows
        for place, entropy in enumerate(ENTROPIES):
            panel = axes[row, side * len(ENTROPIES) + place]
            made, _ = corrupt(picture, entropy, partial(rng, 0, "sheet", kind), 1.0)
            panel.imshow(quantise(made), interpolation="nearest")
            if place == 0:
                panel.set_title(kind, fontsize=8, loc="left", pad=2)
            else:
                panel.set_title(f"{entropy:g}", fontsize=7, color="0.4", loc="right", pad=2)
    for panel in axes.flat:
        panel.axis("off")
    return figure


def main() -> None:
    """Draw the sheet of a photograph's centre."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    pixels = read_image(args.photo)
    y, x = ((edge - EDGE) // 2 for edge in pixels.shape[:2])
    crop = pixels[y : y + EDGE, x : x + EDGE].astype(np.float32) / 255
    draw(crop).savefig(args.out)


if __name__ == "__main__":
    main()
