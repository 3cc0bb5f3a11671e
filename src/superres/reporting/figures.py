"""Figures of the report: functions from data frames to matplotlib figures, without pyplot's state.

Each is called within `superres.reporting.style.styled()`; `draw_plots` makes all that the page has.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from superres.metrics.aggregation import GAIN, with_gain
from superres.metrics.breakdowns import ENTROPY_BINS, bin_of
from superres.reporting import training_figures
from superres.reporting.formatting import signed
from superres.reporting.run import Run
from superres.reporting.style import COLORS, MARKERS, WIDTH_IN, new_figure, render_svg, styled
from superres.reporting.summary import labels

Box = tuple[float, float, float, float]
"""Left, bottom, right and top."""
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


def draw_plots(run: Run) -> dict[str, Markup]:
    """Return the figures by name; one that has nothing to show is not there."""
    names = labels(run.sampling)
    points = pd.DataFrame(
        [
            {"contender": name, "label": names.get(name, name), **figure}
            for name, figure in run.metrics.items()
        ]
    )
    fid = points["fid"].notna().any()
    with styled():
        drawn: dict[str, tuple[Figure | None, str]] = {
            "plane": (perception_distortion(points), "PSNR against SWD by contender"),
            "plane_fid": (
                perception_distortion(points, "fid") if fid else None,
                "PSNR against FID by contender",
            ),
            "heat": (
                gain_heat_map(run.per_tile, run.entropies),
                "PSNR gain of the estimate over bicubic by corruption entropy",
            ),
            "steps": (
                sampling_curves(run.steps),
                "PSNR and SWD of samplers by network evaluations",
            ),
            "sizes": (
                size_curve(run.sizes),
                "PSNR gain over bicubic and SWD by size of the restored windows",
            ),
            "training": (
                training_figures.training_curve(run.train),
                "Losses by optimiser step",
            ),
            "effort": (
                training_figures.effort_curve(run.train),
                "Learning rate and gradient norm by optimiser step",
            ),
            "quartiles": (
                training_figures.quartile_curve(run.train),
                "Loss by quartile of the timesteps and optimiser step",
            ),
            "selection": (
                training_figures.selection_curve(run.selection),
                "PSNR and SWD of every candidate on validation pairs",
            ),
        }
    return {
        name: Markup(render_svg(figure, name, label))  # matplotlib escapes text in SVG
        for name, (figure, label) in drawn.items()
        if figure is not None
    }


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


def gain_heat_map(per_tile: pd.DataFrame, entropies: list[str]) -> Figure | None:
    """Return the mean PSNR gain of the estimate over bicubic by corruption entropy.

    Args:
        per_tile: a row per tile and contender with `id`, `contender`, `psnr` and `entropy_<name>`.
        entropies: names; the first two are the axes.

    Returns:
        A figure, or None where there is no corruption, or no tile whose gain is finite.
    """
    if not entropies:
        return None
    gains = with_gain(per_tile[per_tile["contender"].isin(["estimate", "bicubic"])])
    gains = gains[(gains["contender"] == "estimate") & np.isfinite(gains[GAIN])]
    if gains.empty:
        return None
    bins = [bin_of(gains[f"entropy_{name}"]) for name in entropies[:2]]
    down = bins[1] if len(bins) > 1 else np.zeros_like(bins[0])
    shape = (ENTROPY_BINS if len(bins) > 1 else 1, ENTROPY_BINS)
    total, count = np.zeros(shape), np.zeros(shape, dtype=int)
    np.add.at(total, (down, bins[0]), gains[GAIN].to_numpy())
    np.add.at(count, (down, bins[0]), 1)
    mean = np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)
    return _heat_map(mean, count, entropies)


def _heat_map(mean: np.ndarray, count: np.ndarray, entropies: list[str]) -> Figure:
    rows, columns = mean.shape
    figure, axes = new_figure(3.8 if rows > 1 else 1.6)
    limit = max(0.1, float(np.nanmax(np.abs(mean))))
    edges = np.linspace(0, 1, columns + 1)
    axes.grid(False)
    # Cells as paths, not as a picture: they stay sharp and need no image inside the SVG.
    mesh = axes.pcolormesh(
        edges,
        np.linspace(0, 1, rows + 1),
        np.ma.masked_invalid(mean),
        cmap="RdBu",
        vmin=-limit,
        vmax=limit,
        edgecolors=COLORS["surface"],
        linewidth=2,
    )
    for row, column in np.ndindex(rows, columns):
        gain, number = float(mean[row, column]), int(count[row, column])
        place = ((column + 0.5) / columns, (row + 0.5) / rows)
        if number == 0:
            axes.text(*place, "no tiles", ha="center", va="center", color=COLORS["quiet"], size=8)
            continue
        # Cells have the same colours in light and dark, so their text has too.
        color = "#ffffff" if abs(gain) > 0.6 * limit else "#111111"
        text = f"{signed(gain)} dB\nn = {number}"
        axes.text(*place, text, ha="center", va="center", color=color, size=9)
    axes.set_xlabel(f"entropy of {entropies[0]}")
    axes.set_xticks(edges)
    if rows > 1:
        axes.set_ylabel(f"entropy of {entropies[1]}")
        axes.set_yticks(edges)
    else:
        axes.set_yticks([])
    bar = figure.colorbar(mesh, ax=axes, label="gain over bicubic, dB", shrink=0.9)
    if bar.solids is not None:
        bar.solids.set_rasterized(False)
        bar.solids.set_edgecolor("face")  # no hairlines between the steps of the scale
    bar.outline.set_visible(False)
    return figure


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
