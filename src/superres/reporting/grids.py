"""Grids of small pictures with labels, as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

CELL_PX = 128
"""Smaller pictures are shown with every pixel repeated, a whole number of times, up to this."""
GAP_PX = 6
MARGIN_PX = 84
"""For the rows' labels and their title."""
LINE_PX = 24
DPI = 120


def draw_grid(
    pictures: Sequence[Sequence[np.ndarray]] | np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    row_title: str = "",
    column_title: str = "",
) -> bytes:
    """Return a PNG of pictures in rows and columns, none of their pixels resampled.

    Args:
        pictures: rows of pictures of one size, uint8, H x W x 3 (or H x W, drawn as a heat map).
        row_labels: one per row.
        column_labels: one per column.
        row_title: what the rows stand for.
        column_title: what the columns stand for.

    Raises:
        ValueError: rows or labels that do not match, or pictures of several sizes.
    """
    rows, columns = len(pictures), len(pictures[0])
    if len(row_labels) != rows or len(column_labels) != columns:
        raise ValueError("as many labels as rows and columns are needed")
    sizes = {picture.shape[:2] for line in pictures for picture in line}
    if len(sizes) > 1:
        raise ValueError(f"pictures of one size are needed, got {sorted(sizes)}")
    high, wide = sizes.pop()
    zoom = max(1, -(-CELL_PX // max(high, wide)))
    high, wide = high * zoom, wide * zoom
    left = MARGIN_PX if row_title or any(row_labels) else GAP_PX
    top = LINE_PX + (LINE_PX if column_title else 0)
    width = left + columns * (wide + GAP_PX)
    height = top + rows * (high + GAP_PX)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    FigureCanvasAgg(figure)

    def write(x: float, y: float, text: str, size: int, **how: Any) -> None:
        figure.text(x / width, 1 - y / height, text, fontsize=size, parse_math=False, **how)

    for row, line in enumerate(pictures):
        y = top + row * (high + GAP_PX)
        write(left - 8, y + high / 2, row_labels[row], 9, ha="right", va="center")
        for column, picture in enumerate(line):
            x = left + column * (wide + GAP_PX)
            if row == 0:
                write(x + wide / 2, top - 5, column_labels[column], 9, ha="center", va="bottom")
            shown = picture.repeat(zoom, axis=0).repeat(zoom, axis=1)
            figure.figimage(shown, x, height - y - high, cmap="magma", vmin=0, vmax=255)
    centre = (left + width - GAP_PX) / 2
    write(centre, 5, column_title, 10, ha="center", va="top")
    write(8, (top + height) / 2, row_title, 10, ha="left", va="center", rotation=90)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
