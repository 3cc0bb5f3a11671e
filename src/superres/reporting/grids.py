"""Grids of small pictures with labels, as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

CELL_INCHES = 1.15
MARGIN_INCHES = 0.7
DPI = 120


def draw_grid(
    pictures: Sequence[Sequence[np.ndarray]] | np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    row_title: str = "",
    column_title: str = "",
) -> bytes:
    """Return a PNG of pictures in rows and columns.

    Args:
        pictures: rows of pictures, uint8, H x W x 3 (or H x W, drawn as a heat map).
        row_labels: one per row.
        column_labels: one per column.
        row_title: what the rows stand for.
        column_title: what the columns stand for.

    Raises:
        ValueError: rows or labels that do not match.
    """
    rows, columns = len(pictures), len(pictures[0])
    if len(row_labels) != rows or len(column_labels) != columns:
        raise ValueError("as many labels as rows and columns are needed")
    margin = MARGIN_INCHES if row_title or any(row_labels) else 0.1
    width = columns * CELL_INCHES + margin
    top = 0.55 if column_title else 0.3
    height = rows * CELL_INCHES + top + 0.05
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    left, bottom = margin / width, 0.05 / height
    cell_width, cell_height = CELL_INCHES / width, CELL_INCHES / height
    for row, line in enumerate(pictures):
        for column, picture in enumerate(line):
            corner = (left + column * cell_width, bottom + (rows - 1 - row) * cell_height)
            axes = figure.add_axes((*corner, cell_width * 0.96, cell_height * 0.96))
            axes.imshow(picture, cmap="magma", interpolation="nearest", vmin=0, vmax=255)
            axes.set_axis_off()
            if row == 0:
                axes.set_title(column_labels[column], fontsize=9, pad=3)
            if column == 0:
                axes.text(-0.06, 0.5, row_labels[row], fontsize=9, ha="right", va="center",
                          transform=axes.transAxes)  # fmt: skip
    figure.text((1 + left) / 2, 0.995, column_title, fontsize=10, ha="center", va="top")
    figure.text(0.005, 0.5, row_title, fontsize=10, ha="left", va="center", rotation=90)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
