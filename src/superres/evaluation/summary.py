"""From figures of tiles to figures of contenders, with a note for each that cannot be given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

MEANS = ("psnr", "psnr_y", "ssim", "lr_psnr", "color_shift")
NOT_COMPUTED = {
    name: f"{name.upper()} is not computed: the Inception features it is made of are not part of "
    "this version yet."
    for name in ("fid", "kid")
}


def summarize(
    per_tile: pd.DataFrame, swd: pd.DataFrame
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the contents of `metrics.json` and of `notes.json`.

    A tile that equals its original has an infinite PSNR (a black sky needs no restoring), and one
    such tile would make every mean infinite. It is left out of that figure's mean, of every
    contender alike so that they stay comparable, and a note counts it. A contender without any
    finite tile has None: JSON knows no infinity.

    Args:
        per_tile: a row per tile and contender, with columns `id`, `contender` and `MEANS`.
        swd: a row per contender and pyramid level, with columns `contender` and `swd`.

    Returns:
        Figures by contender, in the order of `per_tile`, and `tiles`; each is the mean over tiles
        (for `swd`, over levels), or None where there is none. Then the notes: `metric`,
        `contenders`, `text`.
    """
    contenders = list(per_tile["contender"].unique())
    metrics: dict[str, Any] = {contender: {} for contender in contenders}
    notes = [
        {"metric": name, "contenders": contenders, "text": text}
        for name, text in NOT_COMPUTED.items()
    ]
    for name in MEANS:
        means, found = _means(per_tile, name, contenders)
        notes += found
        for contender in contenders:
            metrics[contender][name] = means.get(contender)
    for contender in contenders:
        metrics[contender] |= dict.fromkeys(NOT_COMPUTED)
        distances = swd.loc[swd["contender"] == contender, "swd"].to_numpy(np.float64)
        metrics[contender]["swd"] = float(np.mean(distances))
    metrics["tiles"] = int(per_tile["id"].nunique())
    return metrics, notes


def _means(
    per_tile: pd.DataFrame, name: str, contenders: list[str]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Return a figure's mean by contender, over the tiles where it is finite, and notes on that."""
    table = per_tile.pivot(index="id", columns="contender", values=name)[contenders]
    finite = np.isfinite(table)
    some = [contender for contender in contenders if finite[contender].any()]
    none = [contender for contender in contenders if contender not in some]
    shared = table[some][finite[some].all(axis=1)]
    title = name.upper().replace("_", "-")
    equals = "equals what it is compared with, pixel for pixel"
    notes = []
    if none:
        text = f"{title} of {', '.join(none)} is infinite: every tile {equals}."
        notes.append({"metric": name, "contenders": none, "text": text})
    left_out = len(table) - len(shared)
    if some and left_out:
        text = (
            f"{title} is the mean of {len(shared)} of {len(table)} tiles: in the other {left_out}, "
            f"one contender or more {equals}, and the figure is infinite."
        )
        notes.append({"metric": name, "contenders": some, "text": text})
    if shared.empty:
        return {}, notes
    return {contender: float(shared[contender].mean()) for contender in some}, notes
