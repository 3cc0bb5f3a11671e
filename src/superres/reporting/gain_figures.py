"""Where the model gains over bicubic and where it harms: by tile and by corruption entropy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from superres.evaluation.tables import ENTROPY_BINS, bin_of
from superres.reporting.figures import new_figure
from superres.reporting.style import COLORS


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
    gains = tile_gains(per_tile, "estimate")
    gains = gains[np.isfinite(gains["gain"])]
    if gains.empty:
        return None
    bins = [bin_of(gains[f"entropy_{name}"]) for name in entropies[:2]]
    down = bins[1] if len(bins) > 1 else np.zeros_like(bins[0])
    shape = (ENTROPY_BINS if len(bins) > 1 else 1, ENTROPY_BINS)
    total, count = np.zeros(shape), np.zeros(shape, dtype=int)
    np.add.at(total, (down, bins[0]), gains["gain"].to_numpy())
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


def tile_gains(per_tile: pd.DataFrame, contender: str) -> pd.DataFrame:
    """Return a row per tile of a contender, with `gain`: its PSNR minus bicubic's, in dB."""
    bicubic = per_tile[per_tile["contender"] == "bicubic"].set_index("id")["psnr"]
    rows = per_tile[per_tile["contender"] == contender].copy()
    with np.errstate(invalid="ignore"):  # equal to the original twice: infinite minus infinite
        rows["gain"] = rows["psnr"].to_numpy() - bicubic.reindex(rows["id"]).to_numpy()
    return rows


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign, with a true minus: `+0.34`, `−1.20`, `+∞`."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else f"{'+' if value > 0 else '−'}∞"
    text = f"{value:+.{digits}f}"
    if float(text) == 0:
        return f"±{abs(value):.{digits}f}"
    return text.replace("-", "−")
