"""Figures of what `explore` measured; see `superres.reporting.figures`."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from superres.reporting.style import COLORS, MARKERS, WIDTH_IN

WAYS = [
    (color, marker, line)
    for line in ("-", "--", ":", "-.")
    for color, marker in (
        ("model", "D"),
        ("estimate", "o"),
        ("mean", "s"),
        ("ink", "^"),
        ("quiet", "v"),
    )
]
"""Colour, marker and line of each way of sampling, in the order of the table."""


def sampling_curves(steps: pd.DataFrame) -> Figure:
    """Return quality against network evaluations, a curve per sampler and spacing.

    Args:
        steps: `sampler`, `spacing`, `evaluations`, `psnr` in dB, `swd` in 8-bit levels.
    """
    figure = Figure(figsize=(WIDTH_IN, 4.6))
    above, below = figure.subplots(2, 1, sharex=True)
    curves = steps.groupby(["sampler", "spacing"], sort=False)
    for number, ((sampler, spacing), rows) in enumerate(curves):
        color, marker, line = WAYS[number % len(WAYS)]
        ordered = rows.sort_values("evaluations")
        for axes, figures in ((above, "psnr"), (below, "swd")):
            axes.plot(
                *(ordered["evaluations"], ordered[figures]),
                color=COLORS[color],
                marker=marker,
                linestyle=line,
                label=f"{sampler} {spacing}",
            )
    above.set(ylabel="PSNR, dB")
    below.set(ylabel="SWD, 8-bit levels", xlabel="network evaluations")
    _doubling(below, steps["evaluations"])
    columns = 2 if len(curves) > 2 else 1
    figure.legend(*above.get_legend_handles_labels(), loc="outside upper left", ncols=columns)
    return figure


def size_curve(sizes: pd.DataFrame) -> Figure:
    """Return the PSNR gained over bicubic, and SWD, by edge of the restored windows.

    Args:
        sizes: `edge_px`, `gain`, `gain_estimate` in dB, `swd`, `swd_estimate` in 8-bit levels.
    """
    figure = Figure(figsize=(WIDTH_IN, 4.6))
    above, below = figure.subplots(2, 1, sharex=True)
    rows = sizes.sort_values("edge_px")
    contenders = (("estimate", "estimate", "_estimate"), ("model", "one sample", ""))
    for contender, label, ending in contenders:
        for axes, name in ((above, "gain"), (below, "swd")):
            axes.plot(
                *(rows["edge_px"], rows[f"{name}{ending}"]),
                color=COLORS[contender],
                marker=MARKERS[contender],
                label=label,
            )
    above.axhline(0, color=COLORS["quiet"], linewidth=1)
    above.set(ylabel="PSNR over bicubic, dB")
    below.set(ylabel="SWD, 8-bit levels", xlabel="edge of the windows, px")
    _doubling(below, sizes["edge_px"])
    figure.legend(*above.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def _doubling(axes: Axes, values: pd.Series) -> None:
    """Make an axis logarithmic, with plain numbers at some of the values."""
    axes.set_xscale("log", base=2)
    marks: list[float] = []
    for value in sorted({float(value) for value in values}):
        if not marks or value >= 1.25 * marks[-1]:
            marks.append(value)
    axes.xaxis.set_major_locator(FixedLocator(marks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
