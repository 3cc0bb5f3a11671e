"""The report: one self-contained HTML page that needs no network and no other file, and its twin.

Without script it shows the same figures and some tiles; the viewer of all tiles needs its script.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from superres.core.storage import write_bytes, write_text
from superres.reporting import summary, tables, tile_cards
from superres.reporting.config import ReportParams
from superres.reporting.figures import draw_plots
from superres.reporting.formatting import signed
from superres.reporting.origin import Origin
from superres.reporting.rendering import (
    html_templates,
    policy,
    read_asset,
    render_markdown,
    script_json,
)
from superres.reporting.run import Run, read_run


def write_report(
    params: ReportParams,
    origin: Origin,
    data: Path = Path("data"),
    reports: Path = Path("reports"),
) -> str:
    """Write `index.html`, `report.md` and `restored.png`; return the verdict and where the page is.

    Raises:
        SuperresError: an input is missing or not what it should be.
    """
    run = read_run(data, reports)
    page = reports / "index.html"
    text, twin = (
        render_page(run, params, origin),
        render_markdown(shared_content(run, params, origin)),
    )
    overview = tile_cards.overview(run)
    write_text(page, text)
    write_text(reports / "report.md", twin)
    write_bytes(reports / "restored.png", overview)
    return f"{summary.verdict(run)}\nreport: {page}"


def shared_content(run: Run, params: ReportParams, origin: Origin) -> dict[str, Any]:
    """Return what the page and its Markdown twin both show."""
    return {
        "title": params.title,
        "verdict": summary.verdict(run),
        "trade_off": summary.TRADE_OFF,
        "facts": summary.facts(run),
        "table": tables.contender_table(run),
        "arrows": tables.ARROWS,
        "directions": tables.SENTENCES,
        "tiles": run.tiles,
        "rough": any(note.get("metric") == "intervals" for note in run.notes),
        "by_photograph": tables.photograph_table(run),
        "left_out": run.photographs[run.photographs["status"] != "used"].to_dict("records"),
        "remarks": summary.remarks(run),
        "origin": origin,
    }


def render_page(run: Run, params: ReportParams, origin: Origin) -> str:
    """Return the page's HTML; the same run gives the same bytes."""
    shown = tile_cards.shown_tiles(run, params)
    width = params.zoom * shown[0].pictures[0].width
    css = read_asset("page.css") + read_asset("viewer.css") + f":root {{ --w: {width}px; }}\n"
    script = read_asset("viewer.js")
    return (
        html_templates()
        .get_template("page.html.jinja")
        .render(
            **shared_content(run, params, origin),
            css=Markup(css),
            script=Markup(script),
            policy=Markup(policy(css, script)),
            viewer=Markup(script_json(tile_cards.viewer_data(shown))),
            zoom=params.zoom,
            small=width <= 200,
            shown=len(shown),
            limited=len(shown) < min(params.tiles, run.tiles),
            cards=[shown[place] for place in tile_cards.evenly(len(shown), tile_cards.STATIC)],
            signed=signed,
            levels=tables.level_table(run),
            plots=draw_plots(run),
            explored=tile_cards.explored(run),
            photographs=run.photographs.to_dict("records"),
            made=_flat(run.sampling) + _flat(run.measured, "measured."),
        )
    )


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as (dotted name, text) pairs, in their order."""
    pairs: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, dict):
            pairs += _flat(item, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, item)) or "none" if isinstance(item, list) else str(item)
            pairs.append((f"{prefix}{key}", shown))
    return pairs
