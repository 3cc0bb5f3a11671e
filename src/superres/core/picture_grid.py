"""Grids of small pictures: bare, with labels as PNG for `dvc plots`, and as a figure for the page.

The PNG holds its labels as text too, so that the page can take it apart and draw it in its own
colours, with text that stays text. Matplotlib is imported by what draws text alone: training and
the command line lay out bare grids, and it takes them half a second to start.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL_PX = 128
"""Smaller pictures are shown with every pixel repeated, a whole number of times, up to this."""
GAP_PX = 6
MARGIN_PX = 84
"""For the rows' labels and their title."""
LINE_PX = 24
DPI = 120

KEY = "superres-grid"
"""Of the PNG's text that says what is where."""
POINTS = 72


@dataclass(frozen=True)
class Labels:
    """What is written beside a grid."""

    rows: list[str]
    columns: list[str]
    row_title: str
    column_title: str
    zoom: int
    """How many times every pixel is repeated in the PNG."""

    @property
    def left_px(self) -> int:
        """Width of what stands left of the pictures."""
        return MARGIN_PX if self.row_title or any(self.rows) else GAP_PX

    @property
    def top_px(self) -> int:
        """Height of what stands above them."""
        return LINE_PX + (LINE_PX if self.column_title else 0)


def lay_out(
    rows: Sequence[Sequence[np.ndarray]],
    gap: int,
    top: int = 0,
    left: int = 0,
    canvas: np.ndarray | None = None,
) -> np.ndarray:
    """Return pictures in rows and columns, pixel by pixel, with space between them.

    Args:
        rows: pictures of one size, uint8, H x W x 3; a row may be shorter than the first.
        gap: pixels between them.
        top: pixels above the first row.
        left: pixels left of the first column.
        canvas: uint8, what they are laid on, changed in place; None for white that ends where the
            last pictures do.
    """
    high, wide = rows[0][0].shape[:2]
    if canvas is None:
        size = (top + len(rows) * (high + gap) - gap, left + len(rows[0]) * (wide + gap) - gap)
        canvas = np.full((*size, 3), 255, np.uint8)
    for row, line in enumerate(rows):
        for column, picture in enumerate(line):
            y, x = top + row * (high + gap), left + column * (wide + gap)
            canvas[y : y + high, x : x + wide] = picture
    return canvas


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
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    rows, columns = len(pictures), len(pictures[0])
    if len(row_labels) != rows or len(column_labels) != columns:
        raise ValueError("as many labels as rows and columns are needed")
    sizes = {picture.shape[:2] for line in pictures for picture in line}
    if len(sizes) > 1:
        raise ValueError(f"pictures of one size are needed, got {sorted(sizes)}")
    high, wide = sizes.pop()
    zoom = max(1, -(-CELL_PX // max(high, wide)))
    labels = Labels(list(row_labels), list(column_labels), row_title, column_title, zoom)
    high, wide = high * zoom, wide * zoom
    left, top = labels.left_px, labels.top_px
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
    metadata = {KEY: json.dumps(asdict(labels)), "Software": None}
    figure.savefig(file, format="png", metadata=metadata)
    return file.getvalue()


def read_grid(png: bytes) -> tuple[list[list[np.ndarray]], Labels] | None:
    """Return the pictures (uint8, H x W x 3) and labels of a PNG of `draw_grid`; None of another.

    Raises:
        ValueError: the PNG is not what its text says.
    """
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        image.load()  # text may stand behind the pixels
        text = image.info.get(KEY)
        pixels = np.asarray(image.convert("RGB"))
    if text is None:
        return None
    try:
        labels = Labels(**json.loads(text))
    except TypeError as error:
        raise ValueError(f"labels that are none: {error}") from error
    body = pixels[labels.top_px :, labels.left_px :]
    high, wide = body.shape[0] // len(labels.rows), body.shape[1] // len(labels.columns)
    cells = body.reshape(len(labels.rows), high, len(labels.columns), wide, 3).swapaxes(1, 2)
    cells = cells[:, :, : high - GAP_PX : labels.zoom, : wide - GAP_PX : labels.zoom]
    return [list(row) for row in cells], labels


def grid_figure(pictures: Sequence[Sequence[np.ndarray]], labels: Labels) -> Figure:
    """Return the same grid as a figure, its pictures one inch and a third wide."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    high, wide = (edge * labels.zoom for edge in pictures[0][0].shape[:2])
    unit = 4 * POINTS / 3 / wide  # points by pixel of the PNG
    left, top, gap = unit * labels.left_px, 15 * labels.top_px / LINE_PX, unit * GAP_PX
    high, wide = unit * high, unit * wide
    width = left + len(labels.columns) * (wide + gap)
    height = top + len(labels.rows) * (high + gap)
    figure = Figure(figsize=(width / POINTS, height / POINTS))
    figure.set_layout_engine("none")  # everything has its place already
    for row, line in enumerate(pictures):
        y = height - top - row * (high + gap)
        where = (left - 6) / width, (y - high / 2) / height
        figure.text(*where, labels.rows[row], size=9, ha="right", va="center")
        for column, picture in enumerate(line):
            x = left + column * (wide + gap)
            if row == 0:
                where = (x + wide / 2) / width, (y + 4) / height
                figure.text(*where, labels.columns[column], size=9, ha="center")
            place = (x / width, (y - high) / height, wide / width, high / height)
            axes = figure.add_axes(place, frameon=False, xticks=[], yticks=[])
            axes.grid(False)
            axes.imshow(picture, interpolation="none", aspect="auto")
    middle = (left + width - gap) / 2 / width, (height - top) / 2 / height
    figure.text(middle[0], 1 - 1 / height, labels.column_title, ha="center", va="top")
    figure.text(2 / width, middle[1], labels.row_title, va="center", rotation=90)
    return figure
