"""The table of a benchmark: what was measured beside what was published."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

from superres.benchmark.measured_sets import Figures

FILE = "published.csv"
NOTHING = "-"


class Line(NamedTuple):
    """A line of the table."""

    method: str
    figures: dict[str, tuple[float, float]]
    """PSNR in dB and SSIM by set."""
    sources: tuple[str, ...]
    """Where they were published; nothing: they were measured."""


def published(scale: int, sets: Sequence[str]) -> list[Line]:
    """Return the published lines of a scale that have figures of any of the sets.

    They are of the papers' protocol: MATLAB's bicubic inputs, PSNR and SSIM of luma, a border of
    the scale left out.
    """
    text = files("superres.benchmark").joinpath(FILE).read_text(encoding="utf-8")
    lines: dict[str, Line] = {}
    for row in csv.DictReader(io.StringIO(text)):
        if int(row["scale"]) == scale and row["set"] in sets:
            line = lines.get(row["method"], Line(row["method"], {}, ()))
            figures = {**line.figures, row["set"]: (float(row["psnr"]), float(row["ssim"]))}
            sources = tuple(dict.fromkeys((*line.sources, row["source"])))
            lines[row["method"]] = Line(row["method"], figures, sources)
    return list(lines.values())


def measured(of_sets: Mapping[str, Figures], label: str) -> list[Line]:
    """Return a line for each contender.

    Args:
        of_sets: figures by set, the same contenders in all.
        label: what the model is called.
    """
    names = dict.fromkeys(name for figures in of_sets.values() for name in figures)
    return [
        Line(
            f"{label}, {name}" if name in ("estimate", "sample") else f"{name}, measured",
            {chosen: figures[name] for chosen, figures in of_sets.items() if name in figures},
            (),
        )
        for name in names
    ]


def as_markdown(lines: Sequence[Line], sets: Sequence[str], scale: int) -> str:
    """Return a table of PSNR / SSIM, and below it where the published figures are from."""
    head = [f"x{scale}", *sets]
    rows = [[line.method, *_cells(line, sets)] for line in lines]
    text = [_row(head), _row(["---"] * len(head)), *map(_row, rows)]
    return "\n".join(["PSNR (dB) / SSIM of luma", "", *text, "", *_sources(lines), ""])


def as_latex(lines: Sequence[Line], sets: Sequence[str], scale: int) -> str:
    """Return the table as a LaTeX `tabular`, sources as comments."""
    columns = "l" + "c" * len(sets)
    rows = [[_escaped(line.method), *_cells(line, sets)] for line in lines]
    body = [" & ".join(row) + r" \\" for row in rows]
    head = " & ".join([rf"$\times{scale}$", *map(_escaped, sets)]) + r" \\"
    comments = [f"% {source}" for source in _sources(lines)]
    table = [rf"\begin{{tabular}}{{{columns}}}", r"\hline", head, r"\hline", *body, r"\hline"]
    return "\n".join([*comments, *table, r"\end{tabular}", ""])


def as_csv(lines: Sequence[Line], sets: Sequence[str], scale: int) -> str:
    """Return a row per method and set: method, scale, set, psnr, ssim, source."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["method", "scale", "set", "psnr", "ssim", "source"])
    for line in lines:
        source = "; ".join(line.sources) or "measured"
        for chosen in sets:
            if chosen in line.figures:
                psnr, ssim = line.figures[chosen]
                writer.writerow([line.method, scale, chosen, f"{psnr:.4f}", f"{ssim:.6f}", source])
    return out.getvalue()


def _cells(line: Line, sets: Sequence[str]) -> list[str]:
    return [_cell(line.figures.get(chosen)) for chosen in sets]


def _cell(figures: tuple[float, float] | None) -> str:
    if figures is None:
        return NOTHING
    psnr, ssim = figures
    return f"{'inf' if math.isinf(psnr) else f'{psnr:.2f}'} / {ssim:.4f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _sources(lines: Sequence[Line]) -> list[str]:
    return [f"{line.method}: {'; '.join(line.sources)}." for line in lines if line.sources]


def _escaped(text: str) -> str:
    return text.replace("\\", "").replace("_", r"\_").replace("%", r"\%").replace("&", r"\&")
