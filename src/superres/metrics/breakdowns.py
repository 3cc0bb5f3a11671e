"""Tables that say where a contender helps and where it harms; files that `dvc plots` can show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from superres.metrics.aggregation import GAIN, figures_in, with_gain

ENTROPY_BINS = 4
"""Per corruption; the bins are equally wide over [0, 1]."""


def by_photograph(per_tile: pd.DataFrame) -> pd.DataFrame:
    """Return a row per photograph and contender: tiles, exact tiles, means of figures and the gain.

    Args:
        per_tile: a row per tile and contender with `id`, `source`, `contender` and figures.

    Returns:
        `source`, `contender`, `tiles`, `exact` (of those, how many equal their original), the
        figures that were measured, and `psnr_gain`; a mean leaves out the tiles where its figure is
        infinite.
    """
    return _means_by(with_gain(per_tile), ["source"])


def by_entropy(per_tile: pd.DataFrame, entropies: list[str]) -> pd.DataFrame:
    """Return the same by the entropy of the first two corruptions, a row per bin and contender.

    Args:
        per_tile: as above, with `entropy_<name>` in [0, 1].
        entropies: the corruptions' names; without any, there is one row per contender.

    Returns:
        For each of the two, `<name>_from` and `<name>_to`, the bin's ends; then as `by_photograph`.
    """
    rows = with_gain(per_tile)
    keys = []
    for name in entropies[:2]:
        number = bin_of(rows[f"entropy_{name}"])
        rows[f"{name}_from"], rows[f"{name}_to"] = (
            number / ENTROPY_BINS,
            (number + 1) / ENTROPY_BINS,
        )
        keys += [f"{name}_from", f"{name}_to"]
    return _means_by(rows, keys)


def bin_of(entropy: pd.Series) -> np.ndarray:
    """Return the number of each entropy's bin; 1 belongs to the last."""
    return np.clip((entropy.to_numpy() * ENTROPY_BINS).astype(int), 0, ENTROPY_BINS - 1)


def plane(metrics: dict[str, Any], contenders: list[str]) -> pd.DataFrame:
    """Return the perception-distortion plane (Blau and Michaeli 2018): a row per contender."""
    columns = ("psnr", "ssim", "swd", "fid", "kid")
    rows = [
        {"contender": name, **{column: metrics[name][column] for column in columns}}
        for name in contenders
    ]
    return pd.DataFrame(rows, columns=["contender", *columns])


def _means_by(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    figures = [*figures_in(rows), GAIN]
    finite = rows[figures].replace([np.inf, -np.inf], np.nan)
    kept = rows[[*keys, "contender"]].assign(tiles=1, exact=np.isposinf(rows["psnr"]).astype(int))
    groups = pd.concat([kept, finite], axis=1).groupby([*keys, "contender"], sort=False)
    table = groups[["tiles", "exact"]].sum().join(groups[figures].mean()).reset_index()
    return table.sort_values(keys, kind="stable").reset_index(drop=True) if keys else table
