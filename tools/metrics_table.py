"""The table of figures in docs/metrics.md, written from the catalog by `make deps`."""

from __future__ import annotations

from pathlib import Path

from superres.metrics.catalog import FIGURES, Figure, TileFigure

PAGE = Path(__file__).resolve().parent.parent / "docs" / "metrics.md"
BEGIN, END = "<!--figures-->", "<!--/figures-->"


def table() -> str:
    """Return the table as Markdown: a row per figure of the catalog."""
    lines = ["| figure | of | unit | better | what it is |", "|---|---|---|---|---|"]
    lines += [
        f"| `{figure.name}` | {_subject(figure)} | {figure.unit} | {figure.better} | "
        f"{figure.method}{f'; needs the weights of {figure.weights}' if figure.weights else ''} |"
        for figure in FIGURES
    ]
    return "\n".join(lines)


def with_table(page: str) -> str:
    """Return the page with its table replaced.

    Raises:
        ValueError: the page has no place for one.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE}: lacks {BEGIN} and {END}")
    return f"{before}{begin}\n{table()}\n{end}{after}"


def _subject(figure: Figure) -> str:
    if not isinstance(figure, TileFigure):
        return "a set"
    return "a picture" if figure.averaged else "a picture, in `per_tile.csv` alone"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
