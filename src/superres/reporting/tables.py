"""The tables: figures by contender, SWD by level, gains by photograph; the best in bold."""

from __future__ import annotations

from typing import Any

import numpy as np

from superres.core.errors import SuperresError
from superres.metrics.aggregation import GAIN, with_gain
from superres.metrics.catalog import TABLE_FIGURES, Figure, SetFigure, figure_named
from superres.reporting.formatting import signed
from superres.reporting.run import Run
from superres.reporting.summary import evaluations, labels

ARROWS = {"higher": "↑", "lower": "↓", "nearer zero": "→ 0"}
"""Of the column's head: which way is better."""
SENTENCES = {
    "higher": "Higher is better.",
    "lower": "Lower is better.",
    "nearer zero": "Nearer to zero is better.",
}


def contender_table(run: Run) -> dict[str, Any]:
    """Return the table of contenders: its columns that have figures, and a row per contender.

    The best of a column is marked as it reads: contenders that show the same digits share it. A
    cell has its `interval`, or an empty text.
    """
    columns = [
        c for c in TABLE_FIGURES if any(m.get(c.name) is not None for m in run.metrics.values())
    ]
    names, costs = labels(run.sampling), evaluations(run.sampling)
    best = {column.name: _best(column, run.metrics) for column in columns}
    rows = []
    for contender in (name for name in names if name in run.metrics):
        cells = []
        for column in columns:
            text = _cell(column, run.metrics[contender].get(column.name))
            interval = _spread(column, run, contender)
            cells.append({"text": text, "best": text in best[column.name], "interval": interval})
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
    column = figure_named("swd")
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


def photograph_table(run: Run) -> list[dict[str, Any]]:
    """Return tiles and mean PSNR gains of each test photograph, the largest gain first."""
    rows = with_gain(run.per_tile)
    # A tile that one of them has exactly has no finite gain.
    rows[GAIN] = rows[GAIN].replace([np.inf, -np.inf], np.nan)
    of_estimate, of_model = (
        rows[rows["contender"] == name].set_index("id") for name in ("estimate", "model")
    )
    groups = of_estimate.assign(model=of_model[GAIN]).groupby("source")
    table = groups[[GAIN, "model"]].mean().assign(tiles=groups.size()).reset_index()
    table = table.sort_values([GAIN, "source"], ascending=[False, True])
    return [
        {
            "source": source,
            "tiles": count,
            "estimate": signed(float(gain)),
            "model": signed(float(model)),
        }
        for source, gain, model, count in table.itertuples(index=False)
    ]


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


def _best(column: Figure, metrics: dict[str, dict[str, float | None]]) -> set[str]:
    values = [value for m in metrics.values() if (value := m.get(column.name)) is not None]
    orders = {"higher": lambda v: -v, "lower": lambda v: v, "nearer zero": abs}
    best = min(values, key=orders[column.better])
    texts = {_cell(column, best)}
    # +0.10 and −0.10 are equally near.
    return texts | {_cell(column, -best)} if column.better == "nearer zero" else texts


def _cell(column: Figure, value: float | None) -> str:
    if value is None:
        return "–"
    if column.better == "nearer zero":
        return signed(value, column.digits)
    return f"{value:.{column.digits}f}"


def _spread(column: Figure, run: Run, contender: str) -> str:
    """Return a figure's interval, or its deviation where that is known instead."""
    ends = run.intervals.get(contender, {}).get(column.name)
    if ends is not None:
        return " to ".join(_cell(column, end) for end in ends)
    key = column.deviation if isinstance(column, SetFigure) else ""
    deviation = run.metrics[contender].get(key)
    return f"± {_cell(column, deviation)}" if deviation is not None else ""
