"""What is on the page, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from superres.app.html_parts import DIVIDER_JS, HEADER, OVERVIEW_JS, WELCOME, message
from superres.app.settings import DETAILS, ESTIMATE

EDGES = (64, 128, 256)
"""Of the part that is looked at, in pixels of the input."""
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WebP": ".webp", "TIFF": ".tif"}
SAMPLES = 4
INFO = {
    "estimate": "Estimate: faithful, smooth, at once",
    "few steps": "Few steps: more texture",
    "many steps": "Many steps: most texture, slow",
}


@dataclass
class Controls:
    """The components that events read and write."""

    files: Any = None
    which: Any = None
    entropies: dict[str, Any] = field(default_factory=dict)
    estimate: Any = None
    sure: Any = None
    detail: Any = None
    several: Any = None
    seed: Any = None
    model: Any = None
    divider: Any = None
    status: Any = None
    restore: Any = None
    stop: Any = None
    every: Any = None
    samples: Any = None
    format: Any = None
    download: Any = None
    archive: Any = None
    command: Any = None
    overview: Any = None
    across: Any = None
    down: Any = None
    edge: Any = None
    draw: Any = None
    sheet: Any = None
    results: Any = None
    sample: Any = None
    uploads: Any = None
    axes: Any = None
    api: Any = None
    """What only other programs use: inputs, output and trigger."""


def lay_out(models: Mapping[str, list[str]]) -> Controls:
    """Put the components on the page of the `Blocks` around the call.

    Args:
        models: folders with the corruptions that each knows, the one to begin with first.
    """
    made = Controls()
    gr.HTML(HEADER)
    made.files = gr.File(
        label="Pictures", file_count="multiple", type="filepath", height=130, elem_id="files"
    )
    with gr.Row(elem_id="both"):
        with gr.Column(scale=3, min_width=260, elem_id="view"):
            _view(made)
        with gr.Column(scale=1, min_width=260, elem_id="controls"):
            _settings(made, models)
    made.results, made.sample, made.uploads = gr.State({}), gr.State(0), gr.State([])
    made.axes = gr.State([])
    made.api = (
        gr.File(visible=False, label="picture"),
        gr.JSON(visible=False, label="entropies", value={}),
        gr.Textbox(visible=False, label="detail", value=ESTIMATE),
        gr.Number(visible=False, label="seed", value=0, precision=0),
        gr.Textbox(visible=False, label="format", value="png"),
        gr.Textbox(visible=False, label="model", value=next(iter(models))),
        gr.File(visible=False, label="restored"),
        gr.Button(visible=False),
    )
    return made


def _settings(made: Controls, models: Mapping[str, list[str]]) -> None:
    first = next(iter(models))
    made.which = gr.Dropdown([], label="Shown", visible=False, elem_id="which")
    gr.HTML("<h2>What happened to it</h2>")
    names = dict.fromkeys(name for known in models.values() for name in known)
    for name in names:
        made.entropies[name] = gr.Slider(
            0,
            1,
            0,
            step=0.01,
            label=name,
            visible=name in models[first],
            elem_id=f"entropy-{name}",
            buttons=[],
        )
    made.estimate = gr.Button("Estimate from the picture", size="sm", elem_id="estimate")
    made.sure = gr.HTML("", elem_id="sure")
    gr.HTML("<h2>Fidelity or texture</h2>")
    made.detail = gr.Radio(
        [(INFO[name], name) for name in DETAILS],
        value=ESTIMATE,
        label="How it is restored",
        show_label=False,
        elem_id="detail",
    )
    made.several = gr.Checkbox(
        False, label=f"{SAMPLES} samples to choose among", visible=False, elem_id="several"
    )
    made.seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="seed")
    made.model = gr.Dropdown(
        list(models), value=first, label="Model", elem_id="model", visible=len(models) > 1
    )
    with gr.Column(elem_id="place", min_width=0):
        _place(made)


def _place(made: Controls) -> None:
    gr.HTML("<h2>Where to look</h2>")
    made.overview = gr.HTML("", js_on_load=OVERVIEW_JS, padding=False, elem_id="overview")
    made.across = gr.Slider(0, 100, 50, step=1, label="Across, %", buttons=[], elem_id="across")
    made.down = gr.Slider(0, 100, 50, step=1, label="Down, %", buttons=[], elem_id="down")
    made.edge = gr.Radio(
        [(f"{edge} px", edge) for edge in EDGES],
        value=128,
        label="Width: smaller is closer",
        elem_id="edge",
    )


def _view(made: Controls) -> None:
    made.divider = gr.HTML(WELCOME, js_on_load=DIVIDER_JS, elem_id="divider")
    made.status = gr.HTML(message(""), elem_id="status")
    with gr.Row(elem_id="actions"):
        made.restore = gr.Button(
            "Restore whole", variant="primary", interactive=False, elem_id="restore", min_width=140
        )
        made.stop = gr.Button("Stop", elem_id="stop", min_width=90)
        made.every = gr.Checkbox(
            False, label="all pictures", visible=False, elem_id="every", min_width=120
        )
    made.samples = gr.Gallery(
        label="Samples of this part: choose one",
        columns=SAMPLES,
        rows=1,
        height="auto",
        format="png",
        allow_preview=False,
        buttons=[],
        interactive=False,
        visible=False,
        elem_id="samples",
    )
    with gr.Row(elem_id="keep"):
        made.format = gr.Radio(
            list(SUFFIXES), value="PNG", label="Format", show_label=False, elem_id="format"
        )
        made.download = gr.DownloadButton(
            "Download", interactive=False, elem_id="download", min_width=140
        )
        made.archive = gr.DownloadButton(
            "Download all, ZIP", visible=False, elem_id="archive", min_width=140
        )
    made.command = gr.Textbox(
        "",
        label="The same on the command line",
        interactive=False,
        lines=1,
        max_lines=4,
        buttons=["copy"],
        elem_id="command",
    )
    with gr.Accordion("A sheet of entropies to choose from", open=False, elem_id="sheet-part"):
        made.draw = gr.Button("Draw the sheet for this part", size="sm", elem_id="draw")
        made.sheet = gr.Gallery(
            label="Choose one to set its entropies",
            columns=5,
            height="auto",
            format="png",
            allow_preview=False,
            buttons=[],
            interactive=False,
            visible=False,
            elem_id="sheet",
        )
