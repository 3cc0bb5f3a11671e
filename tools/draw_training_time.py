"""Draw docs/training-time.png: PSNR on B100 against training time, from docs/results.md.

    python tools/draw_training_time.py

Published figures are those that `superres benchmark` prints beside its own.
"""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results.md"
PUBLISHED = ROOT / "src" / "superres" / "benchmark" / "published.csv"
OUT = ROOT / "docs" / "training-time.png"
BEGIN, END = "<!--training time-->", "<!--/training time-->"
METHODS = ("SRCNN", "FSRCNN", "VDSR", "IMDN")


def measured(page: str) -> pd.DataFrame:
    """Return the table's rows: `scale`, `minutes` of one thread and `PSNR`.

    Raises:
        ValueError: the page has no such table.
    """
    _, begin, rest = page.partition(BEGIN)
    table, end, _ = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE}: no table between {BEGIN} and {END}")
    lines = [line.strip().strip("|") for line in table.strip().splitlines()]
    rows = pd.read_csv(io.StringIO("\n".join([lines[0], *lines[2:]])), sep="|")
    rows.columns = rows.columns.str.strip()
    rows["scale"] = rows["scale"].str.strip().str.removeprefix("x").astype(int)
    return rows


def main() -> None:
    """Draw a panel per scale."""
    rows, published = measured(PAGE.read_text(encoding="utf-8")), pd.read_csv(PUBLISHED)
    published = published[(published["set"] == "B100") & published["method"].isin(METHODS)]
    figure, panels = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
    for scale, panel in zip((2, 3, 4), panels, strict=True):
        points = rows[rows["scale"] == scale].sort_values("minutes")
        panel.plot(points["minutes"], points["PSNR"], "o-", color="tab:blue")
        lines = published[published["scale"] == scale]
        for line in lines.itertuples():
            panel.axhline(line.psnr, color="0.6", linewidth=0.8)
            place = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
            panel.annotate(line.method, (1, line.psnr), fontsize=8, **place)
        panel.set_ylim(lines["psnr"].min() - 0.1, lines["psnr"].max() + 0.1)
        panel.set(title=f"x{scale}", xlabel="minutes of one thread", xlim=(0, 140))
    panels[0].set_ylabel("PSNR of luma on B100, dB")
    figure.savefig(OUT, dpi=100)


if __name__ == "__main__":
    main()
