"""All figures of the page as SVG elements."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from superres.reporting import explore_figures as curves
from superres.reporting import figures
from superres.reporting import gain_figures as gains
from superres.reporting import training_figures as learning
from superres.reporting import wording as words
from superres.reporting.run import Run
from superres.reporting.style import render_svg, styled


def draw_plots(run: Run) -> dict[str, Markup]:
    """Return the figures by name; one that has nothing to show is not there."""
    names = words.labels(run.sampling)
    points = pd.DataFrame(
        [
            {"contender": name, "label": names.get(name, name), **figure}
            for name, figure in run.metrics.items()
        ]
    )
    fid = points["fid"].notna().any()
    with styled():
        drawn: dict[str, tuple[Figure | None, str]] = {
            "plane": (figures.perception_distortion(points), "PSNR against SWD by contender"),
            "plane_fid": (
                figures.perception_distortion(points, "fid") if fid else None,
                "PSNR against FID by contender",
            ),
            "heat": (
                gains.gain_heat_map(run.per_tile, run.entropies),
                "PSNR gain of the estimate over bicubic by corruption entropy",
            ),
            "steps": (
                curves.sampling_curves(run.steps),
                "PSNR and SWD of samplers by network evaluations",
            ),
            "sizes": (
                curves.size_curve(run.sizes),
                "PSNR gain over bicubic and SWD by size of the restored windows",
            ),
            "training": (
                learning.training_curve(run.train),
                "Losses by optimiser step",
            ),
            "effort": (
                learning.effort_curve(run.train),
                "Learning rate and gradient norm by optimiser step",
            ),
            "quartiles": (
                learning.quartile_curve(run.train),
                "Loss by quartile of the timesteps and optimiser step",
            ),
            "selection": (
                learning.selection_curve(run.selection),
                "PSNR and SWD of every candidate on validation pairs",
            ),
        }
    return {
        name: Markup(render_svg(figure, name, label))  # matplotlib escapes text in SVG
        for name, (figure, label) in drawn.items()
        if figure is not None
    }
