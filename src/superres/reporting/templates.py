"""Where the templates of HTML come from, and what they have in common."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

HERE = Path(__file__).parent


def environment() -> Environment:
    """Return an environment of templates; what they are given is escaped."""
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["spans"] = spans
    return made


def read(name: str) -> str:
    """Return a style sheet or a script of the page."""
    return (HERE / name).read_text(encoding="utf-8")


def spans(text: str) -> Markup:
    """Return a note as HTML: what stands between backticks is code, the rest is text."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick of its own
        return escape(text)
    code = Markup("<code>{}</code>")
    return Markup("").join(
        code.format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )
