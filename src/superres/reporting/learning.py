"""Figures of training and of the choice among its checkpoints; see `superres.reporting.figures`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator, ScalarFormatter

from superres.reporting.style import COLORS, MARKERS, WIDTH_IN

Curve = tuple[str, str, str, str]
"""Column, label, colour and line of a curve."""

_LOSSES: list[Curve] = [
    ("loss", "training", "estimate", "-"),
    ("val_loss", "validation", "model", "-"),
    ("vb", "variational term", "mean", "--"),
]
_QUARTILES: list[Curve] = [
    ("loss_q0", "first quarter (clean)", "estimate", "-"),
    ("loss_q1", "second", "mean", "--"),
    ("loss_q2", "third", "model", "-."),
    ("loss_q3", "last (noise)", "ink", ":"),
]
_WAYS = [
    ("estimate", "o", "-"),
    ("model", "D", "--"),
    ("mean", "s", "-."),
    ("ink", "^", ":"),
    ("quiet", "v", "-"),
]
"""Colour, marker and line of each averaging length."""


def training_curve(train: pd.DataFrame) -> Figure:
    """Return losses, and below them the learning rate and gradient norm, against the step.

    Long runs get a running mean over the raw values.

    Args:
        train: `step` and any of `loss`, `val_loss`, `vb`, `learning_rate` and `gradient_norm`,
            empty where not measured.
    """
    below: list[Curve] = [
        ("learning_rate", "learning rate", "ink", "-"),
        ("gradient_norm", "gradient norm", "quiet", "-"),
    ]
    below = [curve for curve in below if _measured(train, curve[0])]
    heights = [2.4, *([1.0] * len(below))]
    figure = Figure(figsize=(WIDTH_IN, 1.6 + 1.2 * len(heights)))
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
    losses, *others = axes[:, 0]
    _draw(losses, train, _LOSSES)
    losses.set(ylabel="loss")
    for panel, curve in zip(others, below, strict=True):
        _draw(panel, train, [curve], logarithmic=False)
        panel.set(ylabel=curve[1].replace(" ", "\n"))
    axes[-1, 0].set(xlabel="optimiser steps")
    axes[-1, 0].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    figure.align_ylabels()
    if losses.lines:
        losses.legend()
    return figure


def quartile_curve(train: pd.DataFrame) -> Figure | None:
    """Return the training loss by quarter of the timesteps; None where it was not measured.

    Args:
        train: `step` and any of `loss_q0` (the cleanest quarter) to `loss_q3`.
    """
    if not any(_measured(train, column) for column, *_ in _QUARTILES):
        return None
    figure = Figure(figsize=(WIDTH_IN, 3.4))
    axes = figure.add_subplot()
    _draw(axes, train, _QUARTILES)
    axes.set(xlabel="optimiser steps", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def selection_curve(selection: pd.DataFrame) -> Figure:
    """Return how every candidate scored on validation pairs, a line per averaging length.

    The chosen one has a ring; those that cannot be told from the best, a dot inside.

    Args:
        selection: `step`, `ema` (text), `psnr_estimate`, `psnr_sample`, `swd`, `tie` and `chosen`
            (0 or 1).
    """
    figure = Figure(figsize=(WIDTH_IN, 5.4))
    panels = figure.subplots(3, 1, sharex=True)
    names = {"psnr_estimate": "estimate\nPSNR, dB", "psnr_sample": "one sample\nPSNR, dB"}
    names["swd"] = "one sample\nSWD, levels"
    for (column, title), axes in zip(names.items(), panels, strict=True):
        for number, (ema, rows) in enumerate(selection.groupby("ema", sort=False)):
            color, marker, line = _WAYS[number % len(_WAYS)]
            ordered = rows.sort_values("step")
            axes.plot(
                *(ordered["step"], ordered[column]),
                color=COLORS[color],
                marker=marker,
                linestyle=line,
                label=f"average: {ema}",
            )
        _mark(axes, selection[selection["tie"] > 0], column, "cannot be told from the best", 2.5)
        _mark(axes, selection[selection["chosen"] > 0], column, "chosen", 11)
        axes.set(ylabel=title)
    panels[-1].set(xlabel="optimiser steps")
    panels[-1].xaxis.set_major_locator(FixedLocator(_thinned(selection["step"])))
    chosen = selection[selection["chosen"] > 0].iloc[0]
    panels[0].set_title(f"chosen: step {int(chosen['step'])}, average: {chosen['ema']}")
    figure.align_ylabels()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def _mark(axes: Axes, rows: pd.DataFrame, column: str, label: str, size: float) -> None:
    """Draw a ring around points, or a dot inside them where it is smaller than the markers."""
    inside = size < 5
    axes.plot(
        *(rows["step"], rows[column]),
        linestyle="none",
        marker="o",
        markersize=size,
        color=COLORS["surface" if inside else "ink"],
        markeredgecolor=COLORS["quiet" if inside else "ink"],
        markeredgewidth=0.4 if inside else 1.4,
        markerfacecolor=COLORS["surface"] if inside else "none",
        label=label,
        zorder=3,
    )


def _measured(train: pd.DataFrame, column: str) -> bool:
    return column in train.columns and bool(train[column].notna().any())


def _draw(
    axes: Axes, train: pd.DataFrame, curves: Sequence[Curve], logarithmic: bool = True
) -> None:
    """Draw columns against the step, a running mean over the raw values of long runs."""
    lowest = np.inf
    for column, label, color, line in curves:
        if not _measured(train, column):
            continue
        rows = train[["step", column]].dropna()
        values = rows[column]
        lowest = min(lowest, float(values.min()))
        if len(rows) >= 40 and logarithmic:
            axes.plot(rows["step"], values, color=COLORS[color], alpha=0.25, linewidth=0.7)
            values = values.rolling(max(5, len(rows) // 20), min_periods=1, center=True).mean()
        marker = MARKERS.get(color) if len(rows) < 20 else None
        axes.plot(
            *(rows["step"], values), color=COLORS[color], label=label, marker=marker, linestyle=line
        )
    if logarithmic and 0 < lowest < np.inf:
        axes.set_yscale("log")
        # Plain numbers: matplotlib's own labels of a logarithmic axis are mathematical markup.
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_locator(NullLocator())


def _thinned(values: pd.Series) -> list[float]:
    """Return at most about eight of the values, for the marks of an axis."""
    distinct = sorted({float(value) for value in values})
    return distinct[:: max(1, -(-len(distinct) // 8))]
