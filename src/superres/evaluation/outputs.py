"""The files that a measurement leaves in `reports`, and how each figure in them was computed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from superres.core.storage import write_csv, write_json
from superres.metrics import breakdowns
from superres.metrics.aggregation import summarize
from superres.metrics.catalog import TILE_FIGURES
from superres.metrics.config import EvaluateParams
from superres.metrics.intervals import bootstrap_intervals

FEW_PHOTOGRAPHS = 10
"""Below so many, intervals over photographs are rough, and a note says so."""


def write_figures(
    reports: Path,
    per_tile: pd.DataFrame,
    swd: pd.DataFrame,
    sets: dict[str, dict[str, float | None]],
    notes: list[dict[str, Any]],
    inception: dict[str, Any],
    params: EvaluateParams,
) -> None:
    """Write every table and file of a run's figures.

    Args:
        reports: folder of `metrics.json`, `notes.json`, `measured.json` (how), and the tables
            `per_tile.csv`, `swd.csv`, `by_photograph.csv`, `by_entropy.csv` and `plane.csv`.
        per_tile: a row per tile and contender.
        swd: a row per contender and pyramid level.
        sets: figures of features by contender.
        notes: on these and on figures that are absent.
        inception: what `reference.json` says of the network.
        params: how it was measured.
    """
    metrics, more_notes = summarize(per_tile, swd, sets)
    contenders = list(sets)
    photographs = int(per_tile["source"].nunique())
    if photographs < FEW_PHOTOGRAPHS:
        text = (
            f"The 95 % intervals are rough and most likely too narrow: they draw from few "
            f"photographs ({photographs})."
        )
        more_notes.append({"metric": "intervals", "contenders": contenders, "text": text})
    metrics["intervals"] = bootstrap_intervals(per_tile, params.bootstrap)
    columns = [name for name in per_tile.columns if name.startswith("entropy_")]
    entropies = [name.removeprefix("entropy_") for name in columns]
    write_csv(reports / "per_tile.csv", per_tile)
    write_csv(reports / "swd.csv", swd)
    write_csv(reports / "by_photograph.csv", breakdowns.by_photograph(per_tile))
    write_csv(reports / "by_entropy.csv", breakdowns.by_entropy(per_tile, entropies))
    write_csv(reports / "plane.csv", breakdowns.plane(metrics, contenders))
    write_json(reports / "measured.json", _how(per_tile, photographs, inception, params))
    write_json(reports / "notes.json", notes + more_notes)
    write_json(reports / "metrics.json", metrics)


def how_compared(figures: Iterable[str], matlab: bool = False) -> dict[str, str]:
    """Return how those of the figures that are averaged over single pictures are computed."""
    return {
        figure.name: f"{figure.method}; luma rounded to 8 bits, as by MATLAB"
        if matlab and figure.matlab is not None
        else figure.method
        for figure in sorted(TILE_FIGURES, key=lambda one: one.against == "input")
        if figure.averaged and figure.name in figures
    }


def _how(
    per_tile: pd.DataFrame, photographs: int, inception: dict[str, Any], params: EvaluateParams
) -> dict[str, Any]:
    """Return the contents of `measured.json`."""
    named = ("weights", "sha256", "layer", "preprocessing")
    return {
        "tiles": int(per_tile["id"].nunique()),
        "photographs": photographs,
        "border_crop_px": params.border_crop,
        **how_compared(per_tile.columns),
        "swd": params.features.swd.model_dump(),
        "inception": {name: inception[name] for name in named if name in inception},
        "kid": params.kid.model_dump(),
        "precision_recall": {"neighbours": params.neighbours},
        "intervals": {"share": 0.95, "drawn": "photographs, then tiles of each"}
        | params.bootstrap.model_dump(),
    }
