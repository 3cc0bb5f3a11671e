"""How far the figures might lie from what other photographs would give: bootstrap intervals.

All contenders see the same resamples of the tiles, so their differences from bicubic have intervals
of their own, which are much narrower.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from superres.metrics.aggregation import GAIN, comparable, figures_in, with_gain
from superres.metrics.bootstrap import interval, resampled_means
from superres.metrics.config import BootstrapParams

GAIN_KEY = "psnr_over_bicubic"
"""The key of a contender's mean PSNR minus bicubic's."""

Intervals = dict[str, dict[str, list[float]]]


def bootstrap_intervals(per_tile: pd.DataFrame, params: BootstrapParams) -> Intervals:
    """Return 95 % intervals, `[low, high]`, by contender and figure.

    Figures are the means over tiles and `GAIN_KEY`.

    A figure that has no mean has no interval; tiles that its mean leaves out are left out here too.

    Args:
        per_tile: a row per tile and contender with `id`, `source`, `contender` and the figures.
        params: resamples and seed.
    """
    found: Intervals = {contender: {} for contender in per_tile["contender"].unique()}
    photograph = per_tile.drop_duplicates("id").set_index("id")["source"]
    tables = {name: comparable(per_tile, name)[0] for name in figures_in(per_tile)}
    if "bicubic" in tables["psnr"]:
        psnr = tables["psnr"]
        gains = with_gain(per_tile).pivot(index="id", columns="contender", values=GAIN)
        tables[GAIN_KEY] = gains.loc[psnr.index, psnr.columns.drop("bicubic")]
    alike: dict[tuple[str, ...], list[str]] = {}  # figures of the same tiles share the resamples
    for name, table in tables.items():
        if not table.empty:
            alike.setdefault(tuple(table.index), []).append(name)
    for ids, names in alike.items():
        columns = [(name, contender) for name in names for contender in tables[name].columns]
        values = np.concatenate([tables[name].to_numpy(np.float64) for name in names], axis=1)
        ends = interval(resampled_means(values, photograph.loc[list(ids)].to_numpy(), params))
        for (name, contender), (low, high) in zip(columns, ends.T, strict=True):
            found[contender][name] = [float(low), float(high)]
    return found
