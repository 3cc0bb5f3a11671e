"""The page's short twin in Markdown, for pull requests and their comments.

Every value that a template prints is escaped, whatever it is: names of photographs cannot become
markup, links, mentions or cells of a table.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def render_markdown(told: dict[str, Any], template: str = "report.md.jinja") -> str:
    """Return a template filled in; the same values give the same text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # that is for HTML; `finalize` escapes Markdown
        finalize=_escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = code
    environment.filters["spans"] = spans
    environment.filters["strong"] = lambda text: Markdown(f"**{escape(str(text))}**")
    return environment.get_template(template).render(told)


def escape(text: str) -> str:
    """Return text that Markdown shows as it stands, on one line."""
    return _marked(_one_line(text))


def _marked(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]#|~@$])", r"\\\1", text)


def code(text: object) -> Markdown:
    """Return text as a code span, where Markdown knows no markup, links or mentions."""
    shown = _one_line(str(text)).replace("|", "\\|") or " "  # ends a cell of a table even here
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    return Markdown(f"{fence}{space}{shown}{space}{fence}")


def spans(text: str) -> Markdown:
    """Return a note in which what stands between backticks is code."""
    parts = _one_line(text).split("`")
    if len(parts) % 2 == 0:  # a backtick of its own
        return Markdown(escape(text))
    shown = [code(part) if number % 2 else _marked(part) for number, part in enumerate(parts)]
    return Markdown("".join(shown))


def _escaped(value: object) -> str:
    return value if isinstance(value, Markdown) else escape(str(value))


def _one_line(text: str) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", " ", text).split())
