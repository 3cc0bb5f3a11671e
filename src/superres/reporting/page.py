"""The report: one self-contained HTML page that needs no network and no other file, and its twin.

Without script it shows the same figures and some tiles; the viewer of all tiles needs its script.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from superres.core.params import PARAMS_FILE, read_params
from superres.core.storage import write_bytes, write_text
from superres.reporting import gain_figures as gains
from superres.reporting import remarks as leavings
from superres.reporting import reproducing, tables
from superres.reporting import tile_cards as pictures
from superres.reporting import viewer as tiles
from superres.reporting import wording as words
from superres.reporting.config import ReportParams
from superres.reporting.inlining import policy, script_json
from superres.reporting.markdown import render_markdown
from superres.reporting.plots import draw_plots
from superres.reporting.run import Run, read_run
from superres.reporting.templates import environment, read


@dataclass(frozen=True)
class Origin:
    """Which preset a run's params are nearest to, and where they differ from it."""

    preset: str
    differences: list[reproducing.Difference]


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
    text, twin = render_page(run, params, origin), render_markdown(told(run, params, origin))
    overview = pictures.overview(run)
    write_text(page, text)
    write_text(reports / "report.md", twin)
    write_bytes(reports / "restored.png", overview)
    return f"{words.verdict(run)}\nreport: {page}"


def read_origin(params: Path = PARAMS_FILE, presets: Path = reproducing.PRESETS) -> Origin:
    """Return where the params come from.

    Raises:
        SuperresError: params or presets that cannot be read.
    """
    return Origin(*reproducing.nearest_preset(read_params(params), presets))


def told(run: Run, params: ReportParams, origin: Origin) -> dict[str, Any]:
    """Return what the page and its Markdown twin both say."""
    return {
        "title": params.title,
        "verdict": words.verdict(run),
        "trade_off": words.TRADE_OFF,
        "facts": words.facts(run),
        "table": tables.contender_table(run),
        "tiles": run.tiles,
        "rough": any(note.get("metric") == "intervals" for note in run.notes),
        "by_photograph": _by_photograph(run),
        "left_out": run.photographs[run.photographs["status"] != "used"].to_dict("records"),
        "remarks": leavings.remarks(run),
        "origin": origin,
    }


def render_page(run: Run, params: ReportParams, origin: Origin) -> str:
    """Return the page's HTML; the same run gives the same bytes."""
    shown = tiles.shown_tiles(run, params)
    width = params.zoom * shown[0].pictures[0].width
    css = read("page.css") + read("viewer.css") + f":root {{ --w: {width}px; }}\n"
    script = read("viewer.js")
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            **told(run, params, origin),
            css=Markup(css),
            script=Markup(script),
            policy=Markup(policy(css, script)),
            viewer=Markup(script_json(tiles.viewer_data(shown))),
            zoom=params.zoom,
            small=width <= 200,
            shown=len(shown),
            limited=len(shown) < min(params.tiles, run.tiles),
            cards=[shown[place] for place in tiles.spread(len(shown), tiles.STATIC)],
            signed=gains.signed,
            levels=tables.level_table(run),
            plots=draw_plots(run),
            explored=pictures.explored(run),
            photographs=run.photographs.to_dict("records"),
            made=_flat(run.sampling) + _flat(run.measured, "measured."),
        )
    )


def _by_photograph(run: Run) -> list[dict[str, Any]]:
    """Return tiles and mean PSNR gains of each test photograph, the largest gain first."""
    estimate = gains.tile_gains(run.per_tile, "estimate").set_index("id")
    estimate["model"] = gains.tile_gains(run.per_tile, "model").set_index("id")["gain"]
    # A tile that one of them has exactly has no finite gain.
    estimate = estimate.replace([np.inf, -np.inf], np.nan)
    groups = estimate.groupby("source")
    table = groups[["gain", "model"]].mean().assign(tiles=groups.size()).reset_index()
    table = table.sort_values(["gain", "source"], ascending=[False, True])
    return [
        {
            "source": source,
            "tiles": count,
            "estimate": gains.signed(float(gain)),
            "model": gains.signed(float(model)),
        }
        for source, gain, model, count in table.itertuples(index=False)
    ]


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as (dotted name, text) pairs, in their order."""
    pairs: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, dict):
            pairs += _flat(item, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, item)) if isinstance(item, list) else str(item)
            pairs.append((f"{prefix}{key}", shown))
    return pairs
