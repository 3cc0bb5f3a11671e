"""Pieces of the page that Gradio has not: a divider that keys can move, how sure an estimate is."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

HEADER = """<header class="title"><h1>superres</h1>
<p>Drop a picture, say what happened to it, and see it restored. Nothing leaves this machine.</p>
</header>"""

WELCOME = """<div class="empty">
<p>The part that you look at appears here, before and after.</p></div>"""

DIVIDER_JS = """
let at = 50;
const place = () => {
  element.style.setProperty('--at', at + '%');
  const range = element.querySelector('input[type=range]');
  if (range) range.value = at;
};
element.addEventListener('input', (event) => {
  if (event.target.type !== 'range') return;
  at = event.target.value;
  element.style.setProperty('--at', at + '%');
});
place();
watch('value', place);
"""
"""The divider stays where it is when the pictures change."""

OVERVIEW_JS = """
element.addEventListener('click', (event) => {
  if (event.target.tagName !== 'IMG') return;
  const box = event.target.getBoundingClientRect();
  trigger('click', {
    across: (event.clientX - box.left) / box.width,
    down: (event.clientY - box.top) / box.height,
  });
});
"""
"""Where somebody clicked, as shares of the picture; keys have sliders."""


def message(text: str, wrong: bool = False) -> str:
    """Return what is to be said to a person; screen readers say it at once if it is wrong."""
    kind = 'role="alert" class="notice wrong"' if wrong else 'role="status" class="notice"'
    return f"<p {kind}>{escape(text)}</p>"


def sureness(estimates: Mapping[str, float], between: Mapping[str, tuple[float, float]]) -> str:
    """Return how sure estimates are: a line with a band and a dot for each corruption."""
    rows = []
    for name, value in estimates.items():
        least, most = between[name]
        words = f"{value:.2f}, probably {least:.2f} to {most:.2f}"
        rows.append(
            f'<div><dt>{escape(name)}</dt><dd><span class="scale" aria-hidden="true">'
            f'<i style="left:{100 * least:.0f}%;width:{100 * (most - least):.0f}%"></i>'
            f'<b style="left:{100 * value:.0f}%"></b></span><span>{words}</span></dd></div>'
        )
    return f'<dl class="sure">{"".join(rows)}</dl>' if rows else ""
