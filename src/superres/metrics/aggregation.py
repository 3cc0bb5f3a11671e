"""From figures of tiles to figures of contenders, with a note for each that cannot be given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from superres.metrics.catalog import TILE_FIGURES

GAIN = "psnr_gain"
"""The column of a contender's PSNR minus bicubic's, in dB."""


def summarize(
    per_tile: pd.DataFrame, swd: pd.DataFrame, perception: dict[str, dict[str, float | None]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the figures of `metrics.json` and notes for `notes.json`.

    A tile that equals its original has an infinite PSNR (a black sky needs no restoring), and one
    such tile would make every mean infinite. It is left out of that figure's mean, of every
    contender alike so that they stay comparable, and a note counts it. A contender without any
    finite tile has None: JSON knows no infinity.

    Args:
        per_tile: a row per tile and contender, with columns `id`, `contender` and the figures of
            single tiles that were measured.
        swd: a row per contender and pyramid level, with columns `contender` and `swd`; none where
            it was not measured.
        perception: figures of whole sets (`fid` and others) by contender.

    Returns:
        Figures by contender, in the order of `per_tile`, and `tiles`; each is the mean over tiles
        (for `swd`, over levels), or None where there is none. Then the notes: `metric`,
        `contenders`, `text`.
    """
    contenders = list(per_tile["contender"].unique())
    metrics: dict[str, Any] = {contender: {} for contender in contenders}
    notes = []
    for name in figures_in(per_tile):
        means, found = _means(per_tile, name, contenders)
        notes += found
        for contender in contenders:
            metrics[contender][name] = means.get(contender)
    for contender in contenders:
        metrics[contender] |= perception[contender]
        distances = swd.loc[swd["contender"] == contender, "swd"].to_numpy(np.float64)
        metrics[contender]["swd"] = float(np.mean(distances)) if len(distances) else None
    metrics["tiles"] = int(per_tile["id"].nunique())
    return metrics, notes


def figures_in(per_tile: pd.DataFrame) -> list[str]:
    """Return the names of the figures that were measured and of which means are made.

    Without an input, there is no `lr_psnr`; without its weights, no `lpips`.
    """
    return [f.name for f in TILE_FIGURES if f.averaged and f.name in per_tile.columns]


def with_gain(per_tile: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with `psnr_gain`: PSNR minus that of bicubic for the same tile, in dB."""
    bicubic = per_tile[per_tile["contender"] == "bicubic"].set_index("id")["psnr"]
    rows = per_tile.copy()
    with np.errstate(invalid="ignore"):  # equal to the original twice: infinite minus infinite
        rows[GAIN] = rows["psnr"].to_numpy() - bicubic.reindex(rows["id"]).to_numpy()
    return rows


def comparable(per_tile: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[str]]:
    """Return a figure of the tiles that its means are made of, and the contenders without a mean.

    Returns:
        A row per tile (index `id`) and a column per contender: the tiles where the figure is finite
        for all contenders that have any such tile. Then the contenders that have none.
    """
    contenders = list(per_tile["contender"].unique())
    table = per_tile.pivot(index="id", columns="contender", values=name)[contenders]
    finite = np.isfinite(table.to_numpy(np.float64))
    has_some = finite.any(axis=0)
    none = [contender for contender, some in zip(contenders, has_some, strict=True) if not some]
    return table.loc[finite[:, has_some].all(axis=1), has_some], none


def _means(
    per_tile: pd.DataFrame, name: str, contenders: list[str]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Return a figure's mean by contender, over the tiles where it is finite, and notes on that."""
    shared, none = comparable(per_tile, name)
    some = [contender for contender in contenders if contender not in none]
    tiles = per_tile["id"].nunique()
    figure = next(figure for figure in TILE_FIGURES if figure.name == name)
    notes = []
    if none:
        text = f"No {figure.title} of {', '.join(none)}: in every picture, {figure.undefined}."
        notes.append({"metric": name, "contenders": none, "text": text})
    left_out = tiles - len(shared)
    if some and left_out:
        text = (
            f"{figure.title} is the mean of {len(shared)} of {tiles} pictures: in the other "
            f"{left_out}, {figure.undefined}."
        )
        notes.append({"metric": name, "contenders": some, "text": text})
    if shared.empty:
        return {}, notes
    return {contender: float(shared[contender].mean()) for contender in some}, notes
