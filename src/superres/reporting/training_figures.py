"""Figures of training and of the choice among its checkpoints; see `superres.reporting.figures`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from superres.reporting.style import COLORS, MARKERS, WIDTH_IN, new_figure

Curve = tuple[str, str, str, str]
"""Column, label, colour and line of a curve."""

_LOSSES: list[Curve] = [
    ("loss", "training", "estimate", "-"),
    ("val_loss", "validation", "model", "-"),
]
_VARIATIONAL: Curve = ("vb", "variational term", "mean", "-")
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
    """Return losses against the step, and their variational term, which is much smaller, below.

    Long runs get a running mean over the raw values.

    Args:
        train: `step` and any of `loss`, `val_loss` and `vb`, empty where not measured.
    """
    figure = Figure(figsize=(WIDTH_IN, 3.6))
    measured = _measured(train, "vb")
    heights = [2, 1] if measured else [1]
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
    losses = panels[0, 0]
    _draw(losses, train, _LOSSES)
    losses.set(ylabel="loss")
    if measured:
        _draw(panels[1, 0], train, [_VARIATIONAL])
        panels[1, 0].set(ylabel="variational\nterm")
    _over_steps(panels[-1, 0])
    figure.align_ylabels()
    if losses.lines:
        figure.legend(*losses.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def effort_curve(train: pd.DataFrame) -> Figure | None:
    """Return the learning rate and the gradient norm against the step; None without either.

    Args:
        train: `step` and any of `learning_rate` and `gradient_norm`.
    """
    curves: list[Curve] = [
        ("learning_rate", "learning rate", "ink", "-"),
        ("gradient_norm", "gradient norm", "quiet", "-"),
    ]
    curves = [curve for curve in curves if _measured(train, curve[0])]
    if not curves:
        return None
    figure = Figure(figsize=(WIDTH_IN, 1.0 + 1.3 * len(curves)))
    panels = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
    for panel, curve in zip(panels, curves, strict=True):
        _draw(panel, train, [curve], logarithmic=False)
        panel.set(ylabel=curve[1].replace(" ", "\n"), ylim=(0, None))
        panel.yaxis.set_major_locator(MaxNLocator(4))
    _over_steps(panels[-1])
    figure.align_ylabels()
    return figure


def quartile_curve(train: pd.DataFrame) -> Figure | None:
    """Return the training loss by quarter of the timesteps; None where it was not measured.

    Args:
        train: `step` and any of `loss_q0` (the cleanest quarter) to `loss_q3`.
    """
    if not any(_measured(train, column) for column, *_ in _QUARTILES):
        return None
    figure, axes = new_figure(3.6)
    _draw(axes, train, _QUARTILES)
    axes.set(ylabel="loss")
    _over_steps(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def selection_curve(selection: pd.DataFrame) -> Figure:
    """Return how every candidate scored on validation pairs, a line per averaging length.

    The chosen one has a ring; marks are filled where they cannot be told from the best.

    Args:
        selection: `step`, `ema` (text), `appearance`, `psnr_estimate`, `psnr_sample`, `swd`, `tie`
            and `chosen` (0 or 1).
    """
    figure = Figure(figsize=(WIDTH_IN, 6.6))
    panels = figure.subplots(4, 1, sharex=True)
    names = {"psnr_estimate": "estimate\nPSNR, dB", "psnr_sample": "one sample\nPSNR, dB"}
    names["appearance"] = "appearance,\ndB"
    names["swd"] = "one sample\nSWD, levels"
    for (column, title), axes in zip(names.items(), panels, strict=True):
        for number, (ema, rows) in enumerate(selection.groupby("ema", sort=False)):
            color, marker, line = _WAYS[number % len(_WAYS)]
            ordered = rows.sort_values("step")
            axes.plot(
                *(ordered["step"], ordered[column]),
                color=COLORS[color],
                marker=marker,
                markerfacecolor=COLORS["surface"],
                linestyle=line,
                label=f"average: {ema}",
            )
            ties = ordered[ordered["tie"] > 0]
            axes.plot(*(ties["step"], ties[column]), marker, color=COLORS[color])
        _mark_chosen(axes, selection[selection["chosen"] > 0], column)
        axes.set(ylabel=title)
    panels[-1].set(xlabel="optimiser steps")
    panels[-1].xaxis.set_major_locator(FixedLocator(_thinned(selection["step"])))
    chosen = selection[selection["chosen"] > 0].iloc[0]
    panels[0].set_title(f"chosen: step {int(chosen['step'])}, average: {chosen['ema']}")
    figure.align_ylabels()
    filled = Line2D([], [], linestyle="none", marker="o", color=COLORS["quiet"])
    lines, names_shown = panels[0].get_legend_handles_labels()
    figure.legend(
        *([*lines, filled], [*names_shown, "filled: cannot be told from the best"]),
        loc="outside upper left",
        ncols=2,
    )
    return figure


def _mark_chosen(axes: Axes, rows: pd.DataFrame, column: str) -> None:
    axes.plot(
        *(rows["step"], rows[column]),
        linestyle="none",
        marker="o",
        markersize=11,
        markeredgewidth=1.4,
        markeredgecolor=COLORS["ink"],
        markerfacecolor="none",
        label="chosen",
        clip_on=False,
        zorder=3,
    )


def _over_steps(axes: Axes) -> None:
    axes.set(xlabel="optimiser steps")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _measured(train: pd.DataFrame, column: str) -> bool:
    return column in train.columns and bool(train[column].notna().any())


def _draw(
    axes: Axes, train: pd.DataFrame, curves: Sequence[Curve], logarithmic: bool = True
) -> None:
    """Draw columns against the step, a running mean over the raw values of long runs."""
    lowest, highest = np.inf, -np.inf
    for column, label, color, line in curves:
        if not _measured(train, column):
            continue
        rows = train[["step", column]].dropna()
        values = rows[column]
        lowest = min(lowest, float(values.min()))
        highest = max(highest, float(values.max()))
        if len(rows) >= 40 and logarithmic:
            axes.plot(rows["step"], values, color=COLORS[color], alpha=0.25, linewidth=0.7)
            values = values.rolling(max(5, len(rows) // 20), min_periods=1, center=True).mean()
        marker = MARKERS.get(color) if len(rows) < 20 else None
        axes.plot(
            *(rows["step"], values), color=COLORS[color], label=label, marker=marker, linestyle=line
        )
    if logarithmic and 0 < lowest < np.inf:
        axes.set_yscale("log")
        decades = np.log10(highest / lowest)
        subs = (1,) if decades > 2 else (1, 2, 5) if decades > 0.8 else (1, 1.5, 2, 3, 4, 5, 6, 8)
        axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=8))
        # Plain numbers: matplotlib's own labels of a logarithmic axis are mathematical markup.
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())


def _thinned(values: pd.Series) -> list[float]:
    """Return at most about eight of the values, for the marks of an axis."""
    distinct = sorted({float(value) for value in values})
    return distinct[:: max(1, -(-len(distinct) // 8))]
