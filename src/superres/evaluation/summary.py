"""From figures of tiles to figures of contenders, with a note for each that cannot be given."""

from __future__ import annotations

import math
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

    Args:
        per_tile: a row per tile and contender, with columns `id`, `contender` and `MEANS`.
        swd: a row per contender and pyramid level, with columns `contender` and `swd`.

    Returns:
        Figures by contender, in the order of `per_tile`, and `tiles`; each is the mean over tiles
        (for `swd`, over levels), or None where there is none. JSON knows no infinity, so an
        infinite mean is None too. Then the notes: `metric`, `contenders`, `text`.
    """
    metrics: dict[str, Any] = {}
    infinite: dict[str, list[str]] = {}
    for contender in per_tile["contender"].unique():
        rows = per_tile[per_tile["contender"] == contender]
        figures: dict[str, float | None] = {}
        for name in MEANS:
            mean = float(np.mean(rows[name].to_numpy(np.float64)))
            figures[name] = mean if math.isfinite(mean) else None
            if not math.isfinite(mean):
                infinite.setdefault(name, []).append(contender)
        distances = swd.loc[swd["contender"] == contender, "swd"].to_numpy(np.float64)
        metrics[contender] = {
            **figures,
            **dict.fromkeys(NOT_COMPUTED),
            "swd": float(np.mean(distances)),
        }
    notes = [
        {"metric": name, "contenders": list(metrics), "text": text}
        for name, text in NOT_COMPUTED.items()
    ]
    notes += [
        {"metric": name, "contenders": names, "text": _infinite_note(name, names)}
        for name, names in infinite.items()
    ]
    metrics["tiles"] = int(per_tile["id"].nunique())
    return metrics, notes


def _infinite_note(metric: str, contenders: list[str]) -> str:
    return (
        f"{metric} has no finite mean for {', '.join(contenders)}: at least one tile equals what "
        "it is compared with, pixel for pixel."
    )
