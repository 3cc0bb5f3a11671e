"""The report: one self-contained HTML page that needs no network, no script and no other file."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from superres.params.report import ReportParams
from superres.reporting import curves, figures, gains, pictures, words
from superres.reporting.run import Run, read_run
from superres.reporting.style import render_svg, styled
from superres.storage import write_bytes, write_text

HERE = Path(__file__).parent


def write_report(
    params: ReportParams,
    data: Path = Path("data"),
    reports: Path = Path("reports"),
) -> str:
    """Write `index.html` and `restored.png`, and return the verdict and where the page is.

    Raises:
        SuperresError: an input is missing or not what it should be.
    """
    run = read_run(data, reports)
    page = reports / "index.html"
    text, overview = render_page(run, params), pictures.overview(run)
    write_text(page, text)
    write_bytes(reports / "restored.png", overview)
    return f"{words.verdict(run)}\nreport: {page}"


def render_page(run: Run, params: ReportParams) -> str:
    """Return the page's HTML; the same run gives the same bytes."""
    css = (HERE / "page.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja").render(
        title=params.title,
        css=Markup(css),
        style_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        zoom=params.zoom,
        verdict=words.verdict(run),
        trade_off=words.TRADE_OFF,
        facts=_facts(run),
        table=words.contender_table(run),
        levels=words.level_table(run),
        tiles=run.tiles,
        hero=pictures.tile_card(run, pictures.sharpest(run, 1)[0]),
        cards=pictures.cards(run, params.tiles),
        plots=_plots(run),
        by_photograph=_by_photograph(run),
        explored=pictures.explored(run),
        explore_notes=run.explore_notes,
        photographs=run.photographs.to_dict("records"),
        left_out=run.photographs[run.photographs["status"] != "used"].to_dict("records"),
        dropped=int(run.photographs["dropped"].fillna(0).sum()),
        thinned=int(run.photographs["thinned"].fillna(0).sum()),
        notes=list(dict.fromkeys(str(note.get("text", "")) for note in run.notes)),
        made=_flat(run.sampling) + _flat(run.measured, "measured."),
    )


def _facts(run: Run) -> list[str]:
    """Return the run in a few words, for the line under the verdict."""
    used = run.photographs[run.photographs["status"] == "used"]
    trained = int((used["split"] == "train").sum())
    model = run.sampling.get("model", {})
    parameters = model.get("parameters") if isinstance(model, dict) else None
    facts = [
        f"{run.sampling.get('scale', '?')}× larger",
        f"trained on {words.counted(trained, 'photograph')}",
    ]
    if isinstance(parameters, int):
        facts.append(f"{parameters / 1e6:.2f} M parameters")
    return [*facts, f"{run.sampling.get('steps', '?')} steps ({run.sampling.get('sampler', '?')})"]


def _plots(run: Run) -> dict[str, Markup]:
    """Return the figures by name; one that has nothing to show is not there."""
    names = words.labels(run.sampling)
    points = pd.DataFrame(
        [
            {"contender": name, "label": names.get(name, name), **figure}
            for name, figure in run.metrics.items()
        ]
    )
    with styled():
        drawn: dict[str, tuple[Figure | None, str]] = {
            "plane": (figures.perception_distortion(points), "PSNR against SWD by contender"),
            "plane_fid": (
                figures.perception_distortion(points, "fid")
                if points["fid"].notna().any()
                else None,
                "PSNR against FID by contender",
            ),
            "heat": (
                gains.gain_heat_map(run.per_tile, run.entropies),
                "PSNR gain of the estimate over bicubic by corruption strength",
            ),
            "steps": (
                curves.sampling_curves(run.steps),
                "PSNR and SWD of samplers by network evaluations",
            ),
            "sizes": (
                curves.size_curve(run.sizes),
                "PSNR gain over bicubic and SWD by size of the restored windows",
            ),
            "training": (figures.training_curve(run.train), "Loss by optimiser step"),
            "selection": (
                figures.selection_curve(run.selection),
                "PSNR and SWD of every checkpoint on validation pairs",
            ),
        }
    return {
        name: Markup(render_svg(figure, name, label))  # matplotlib escapes text in SVG
        for name, (figure, label) in drawn.items()
        if figure is not None
    }


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
            "tiles": tiles,
            "estimate": gains.signed(float(gain)),
            "model": gains.signed(float(model)),
        }
        for source, gain, model, tiles in table.itertuples(index=False)
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
