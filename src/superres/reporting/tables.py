"""The tables of figures: a column per figure, a row per contender, the best in bold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from superres.core.errors import SuperresError
from superres.reporting.gain_figures import signed
from superres.reporting.run import Run
from superres.reporting.wording import evaluations, labels


@dataclass(frozen=True)
class Column:
    """One figure of the table of contenders."""

    key: str
    title: str
    unit: str
    digits: int
    better: Literal["higher", "lower", "nearer zero"]
    meaning: str


COLUMNS = (
    Column("psnr", "PSNR", "dB", 2, "higher", "Peak signal-to-noise ratio over RGB, of 8 bits."),
    Column(
        "swd",
        "SWD",
        "levels",
        2,
        "lower",
        "Sliced Wasserstein distance between 7 × 7 px patches of the restored and of the original "
        "tiles, mean over the levels of a Laplacian pyramid: whether fine detail is there in the "
        "right amount, wherever it lies.",
    ),
    Column(
        "lpips",
        "LPIPS",
        "",
        3,
        "lower",
        "Distance in the features of AlexNet, weighted as people judged pictures (version 0.1).",
    ),
    Column("ssim", "SSIM", "", 3, "higher", "Structural similarity, Gaussian window of 11 px."),
    Column("psnr_y", "PSNR-Y", "dB", 2, "higher", "PSNR of BT.601 luma (16 to 235)."),
    Column("ssim_y", "SSIM-Y", "", 3, "higher", "SSIM of BT.601 luma."),
    Column(
        "lr_psnr",
        "LR-PSNR",
        "dB",
        2,
        "higher",
        "The restored tile degraded again, against its input: whether it stays true to it.",
    ),
    Column(
        "color_shift",
        "colour",
        "levels",
        2,
        "nearer zero",
        "Mean of restored minus original over all pixels and channels: drift of colour.",
    ),
    Column(
        "fid",
        "FID",
        "",
        2,
        "lower",
        "Fréchet distance of the 2048 pooled features of the 2015 Inception network.",
    ),
    Column(
        "kid",
        "KID",
        "",
        4,
        "lower",
        "Kernel distance of the same features, mean and deviation of subsets.",
    ),
    Column(
        "precision",
        "precision",
        "",
        3,
        "higher",
        "Share of restored tiles among the originals’ neighbours in those features: do they look "
        "like photographs?",
    ),
    Column(
        "recall",
        "recall",
        "",
        3,
        "higher",
        "Share of originals among the restored tiles’ neighbours: is their variety there?",
    ),
)


def contender_table(run: Run) -> dict[str, Any]:
    """Return the table of contenders: its columns that have figures, and a row per contender.

    The best of a column is marked as it reads: contenders that show the same digits share it. A
    cell has its `interval`, or an empty text.
    """
    columns = [c for c in COLUMNS if any(m.get(c.key) is not None for m in run.metrics.values())]
    names, costs = labels(run.sampling), evaluations(run.sampling)
    best = {column.key: _best(column, run.metrics) for column in columns}
    rows = []
    for contender in (name for name in names if name in run.metrics):
        cells = []
        for column in columns:
            text = _cell(column, run.metrics[contender].get(column.key))
            interval = _spread(column, run, contender)
            cells.append({"text": text, "best": text in best[column.key], "interval": interval})
        cost = costs.get(contender)
        rows.append(
            {"key": contender, "label": names[contender], "evaluations": cost, "cells": cells}
        )
    return {"columns": columns, "rows": rows}


def level_table(run: Run) -> dict[str, Any]:
    """Return SWD by pyramid level: `sizes` (edges in pixels, fine to coarse) and `rows`.

    Raises:
        SuperresError: `swd.csv` lacks a contender or a level of one.
    """
    column = next(column for column in COLUMNS if column.key == "swd")
    table = run.swd.pivot_table(index="contender", columns="level_px", values="swd")
    table = table.reindex(list(run.metrics))[sorted(table.columns, reverse=True)]
    if table.isna().any(axis=None):
        missing = table.index[table.isna().any(axis=1)][0]
        raise SuperresError(f"reports/swd.csv: lacks figures of the contender '{missing}'")
    best = [_cell(column, float(value)) for value in table.min().to_numpy()]
    rows = []
    for key, name in labels(run.sampling).items():
        if key in run.metrics:
            texts = [_cell(column, float(value)) for value in table.loc[key].to_numpy()]
            cells = [{"text": t, "best": t == b} for t, b in zip(texts, best, strict=True)]
            rows.append({"key": key, "label": name, "cells": cells})
    return {"sizes": [int(size) for size in table.columns], "rows": rows}


def plain_table(run: Run) -> str:
    """Return the same table as text for a terminal."""
    table = contender_table(run)
    head = ["contender", *(f"{c.title} {c.unit}".strip() for c in table["columns"])]
    lines = [head] + [[r["label"], *(cell["text"] for cell in r["cells"])] for r in table["rows"]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _best(column: Column, metrics: dict[str, dict[str, float | None]]) -> set[str]:
    values = [value for m in metrics.values() if (value := m.get(column.key)) is not None]
    orders = {"higher": lambda v: -v, "lower": lambda v: v, "nearer zero": abs}
    best = min(values, key=orders[column.better])
    texts = {_cell(column, best)}
    # +0.10 and −0.10 are equally near.
    return texts | {_cell(column, -best)} if column.better == "nearer zero" else texts


def _cell(column: Column, value: float | None) -> str:
    if value is None:
        return "–"
    if column.better == "nearer zero":
        return signed(value, column.digits)
    return f"{value:.{column.digits}f}"


def _spread(column: Column, run: Run, contender: str) -> str:
    """Return a figure's interval; of KID, which has none, its deviation over subsets."""
    ends = run.intervals.get(contender, {}).get(column.key)
    if ends is not None:
        return " to ".join(_cell(column, end) for end in ends)
    deviation = run.metrics[contender].get("kid_std")
    return f"± {_cell(column, deviation)}" if column.key == "kid" and deviation is not None else ""
