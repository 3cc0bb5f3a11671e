"""Figures of the report: functions from data frames to matplotlib figures, without pyplot's state.

Each is called within `superres.reporting.style.styled()`; `render_svg` turns it into text.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superres.reporting.style import COLORS, MARKERS, WIDTH_IN

Box = tuple[float, float, float, float]
"""Left, bottom, right and top."""


def perception_distortion(points: pd.DataFrame, perception: str = "swd") -> Figure:
    """Return the plane of Blau and Michaeli 2018: distortion (PSNR) against perception.

    Args:
        points: `contender`, `label`, `psnr` in dB, and `swd` in 8-bit levels or `fid`; rows with an
            empty figure are left out.
        perception: which of the two is drawn.
    """
    figure, axes = new_figure(3.6)
    shown = points.dropna(subset=["psnr", perception])
    name = {"swd": "SWD, 8-bit levels", "fid": "FID"}[perception]
    axes.set(xlabel="PSNR, dB (right is closer)", ylabel=f"{name} (lower is closer)")
    if shown.empty:
        return figure
    axes.set_xlim(*_padded(shown["psnr"], 0.18))
    axes.set_ylim(*_padded(shown[perception], 0.14))
    for contender, x, y in zip(shown["contender"], shown["psnr"], shown[perception], strict=True):
        marker, color = MARKERS.get(contender, "o"), COLORS.get(contender, COLORS["ink"])
        axes.plot(x, y, marker, color=color, markersize=8)
    _label_points(axes, shown, perception)
    return figure


def new_figure(height_in: float) -> tuple[Figure, Axes]:
    """Return a figure of the common width and its axes."""
    figure = Figure(figsize=(WIDTH_IN, height_in))
    return figure, figure.add_subplot()


def _padded(values: pd.Series, share: float) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = share * (high - low) or 0.5
    return low - margin, high + margin


def _label_points(axes: Axes, points: pd.DataFrame, perception: str) -> None:
    """Write each point's label beside, above or below it: the first place that is still free.

    Places are boxes in shares of the axes' width and height; the size of text is estimated.
    """
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    across = (points["psnr"].to_numpy() - left) / (right - left)
    up = (points[perception].to_numpy() - bottom) / (top - bottom)
    taken = [(x - 0.02, y - 0.03, x + 0.02, y + 0.03) for x, y in zip(across, up, strict=True)]
    for label, x, y in zip(points["label"], across, up, strict=True):
        width = 0.0175 * len(label)
        boxes = {
            "left": (x + 0.025, y - 0.03, x + 0.025 + width, y + 0.03),
            "right": (x - 0.025 - width, y - 0.03, x - 0.025, y + 0.03),
            "above": (x - width / 2, y + 0.035, x + width / 2, y + 0.095),
            "below": (x - width / 2, y - 0.095, x + width / 2, y - 0.035),
        }
        side = next((name for name, box in boxes.items() if _is_free(box, taken)), "left")
        box = boxes[side]
        taken.append(box)
        align = side if side in ("left", "right") else "center"
        anchor = {"left": box[0], "right": box[2], "center": x}[align]
        axes.text(
            *(anchor, (box[1] + box[3]) / 2, label),
            transform=axes.transAxes,
            ha=align,
            va="center",
            size=9.5,
        )


def _is_free(box: Box, taken: list[Box]) -> bool:
    inside = box[0] >= 0 and box[2] <= 1 and box[1] >= 0 and box[3] <= 1
    return inside and not any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in taken
    )
