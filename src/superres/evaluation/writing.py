"""The files that a measurement leaves in `reports`, and how each figure in them was computed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from superres.core.storage import write_csv, write_json
from superres.evaluation import tables
from superres.evaluation.summary import summarize
from superres.metrics.config import EvaluateParams
from superres.metrics.fidelity import SSIM_WINDOW
from superres.metrics.intervals import bootstrap_intervals
from superres.metrics.perception import Perception
from superres.metrics.weights import ALEXNET, LINEAR, LPIPS_DIGITS

FEW_PHOTOGRAPHS = 10
"""Below so many, intervals over photographs are rough, and a note says so."""

FIDELITY = {
    "psnr": "RGB of 8 bits, peak 255, dB",
    "psnr_y": "BT.601 luma 16 to 235, not rounded, peak 255, dB",
    "ssim": f"RGB, Gaussian window of deviation 1.5 in {SSIM_WINDOW} x {SSIM_WINDOW} px, "
    "mean of channels",
    "ssim_y": "BT.601 luma, the same window, range 255",
    "color_shift": "restored minus original, 8-bit levels",
}
"""How the figures of single pictures are computed; `docs/metrics.md` says more."""
LPIPS = (
    f"version 0.1, {ALEXNET} and {LINEAR} ({LPIPS_DIGITS[LINEAR]}), whole RGB pictures in [-1, 1]"
)


def write_figures(
    reports: Path,
    per_tile: pd.DataFrame,
    swd: pd.DataFrame,
    perception: Perception,
    inception: dict[str, Any],
    params: EvaluateParams,
) -> None:
    """Write every table and file of a run's figures.

    Args:
        reports: folder of `metrics.json`, `notes.json`, `measured.json` (how), and the tables
            `per_tile.csv`, `swd.csv`, `by_photograph.csv`, `by_entropy.csv` and `plane.csv`.
        per_tile: a row per tile and contender.
        swd: a row per contender and pyramid level.
        perception: FID and its like.
        inception: what `reference.json` says of the network.
        params: how it was measured.
    """
    metrics, notes = summarize(per_tile, swd, perception.figures)
    contenders = list(perception.figures)
    photographs = int(per_tile["source"].nunique())
    if photographs < FEW_PHOTOGRAPHS:
        text = (
            f"The 95 % intervals are rough and most likely too narrow: they draw from few "
            f"photographs ({photographs})."
        )
        notes.append({"metric": "intervals", "contenders": contenders, "text": text})
    metrics["intervals"] = bootstrap_intervals(per_tile, params.bootstrap)
    columns = [name for name in per_tile.columns if name.startswith("entropy_")]
    entropies = [name.removeprefix("entropy_") for name in columns]
    write_csv(reports / "per_tile.csv", per_tile)
    write_csv(reports / "swd.csv", swd)
    write_csv(reports / "by_photograph.csv", tables.by_photograph(per_tile))
    write_csv(reports / "by_entropy.csv", tables.by_entropy(per_tile, entropies))
    write_csv(reports / "plane.csv", tables.plane(metrics, contenders))
    write_json(reports / "measured.json", _how(per_tile, photographs, inception, params))
    write_json(reports / "notes.json", perception.notes + notes)
    write_json(reports / "metrics.json", metrics)


def how_compared(figures: Iterable[str]) -> dict[str, str]:
    """Return how the figures of single pictures are computed, with LPIPS if it is one of them."""
    return FIDELITY | ({"lpips": LPIPS} if "lpips" in figures else {})


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
        "lr_psnr": "restored, degraded again with the known entropies, against the input",
        "swd": params.features.swd.model_dump(),
        "inception": {name: inception[name] for name in named if name in inception},
        "kid": params.kid.model_dump(),
        "precision_recall": {"neighbours": params.neighbours},
        "intervals": {"share": 0.95, "drawn": "photographs, then tiles of each"}
        | params.bootstrap.model_dump(),
    }
