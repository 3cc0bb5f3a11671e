"""How figures look, and how they become text that follows the page's light and dark colours."""

from __future__ import annotations

import io
import re
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLORS = {
    "ink": "#1c1d21",
    "quiet": "#62646c",
    "line": "#dcdde1",
    "surface": "#fdfdfe",
    "estimate": "#0072b2",
    "model": "#d55e00",
    "mean": "#009e73",
    "bicubic": "#56585f",
    "bilinear": "#8a8c94",
    "lanczos": "#6f7178",
}
"""Name of a CSS variable of the page to its light value. The strong three are of Okabe and Ito's
palette, which colour-blind readers can tell apart; `page.css` has a lighter set for the dark."""

MARKERS = {
    "estimate": "o",
    "model": "D",
    "mean": "s",
    "bicubic": "^",
    "bilinear": "v",
    "lanczos": "<",
}
"""A shape for each contender: colour is never the only difference."""

STYLE: Any = {  # rc_context takes no dict[str, ...], only one of its own literal keys
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "superres",  # ids do not differ from run to run
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.labelsize": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.linewidth": 0.7,
    "grid.color": COLORS["line"],
    "axes.edgecolor": COLORS["quiet"],
    "axes.labelcolor": COLORS["ink"],
    "axes.titlecolor": COLORS["ink"],
    "text.color": COLORS["ink"],
    "xtick.color": COLORS["quiet"],
    "ytick.color": COLORS["quiet"],
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "xtick.minor.visible": False,
    "figure.constrained_layout.use": True,
}

WIDTH_IN = 5.0
"""Every figure is this wide, 360 points: 10-point text is legible on a telephone and on a desk."""


def new_figure(height_in: float) -> tuple[Figure, Axes]:
    """Return a figure of the common width and its axes."""
    figure = Figure(figsize=(WIDTH_IN, height_in))
    return figure, figure.add_subplot()


def styled() -> Any:
    """Return a context in which figures are made and drawn in the common style."""
    return rc_context(STYLE)


def render_svg(figure: Figure, name: str, label: str) -> str:
    """Return a figure as an SVG element to stand in an HTML page.

    Args:
        figure: made within `styled()`.
        name: prefix of the ids inside, unique in the page.
        label: what a screen reader says.

    Returns:
        `<svg ...>` without namespaces, dates or styles, its colours as CSS variables with their
        light values to fall back on; the same bytes for the same figure.
    """
    buffer = io.StringIO()
    with styled():
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>|<!--.*?-->", "", text, flags=re.S)
    box = re.search(r'viewBox="([^"]*)"', text)
    assert box is not None, "matplotlib writes a viewBox"
    width, height = (round(4 / 3 * float(edge)) for edge in box[1].split()[2:])  # points to pixels
    opening = (
        f'<svg viewBox="{box[1]}" width="{width}" height="{height}" role="img" '
        f'aria-label="{_escape(label)}">'
    )
    text = opening + text[text.index(">") + 1 :]
    text = re.sub(r' style="([^"]*)"', lambda found: _attributes(found[1]), text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    text = text.replace("xlink:href=", "href=")
    for variable, color in COLORS.items():
        text = text.replace(color, f"var(--{variable}, {color})")
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def _attributes(style: str) -> str:
    """Return a style as attributes of SVG, which a page may have whose policy forbids styles.

    The font's family is left to the page.
    """
    pairs = (part.split(":", 1) for part in style.split(";") if part.strip())
    return "".join(
        f' {key.strip()}="{value.strip()}"' for key, value in pairs if key.strip() != "font-family"
    )


def _escape(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text
