"""What on the page calls which function. Does without torch: the functions come later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from superres.app.html_parts import message
from superres.app.layout import Controls
from superres.app.programs import for_programs
from superres.app.settings import Stopped
from superres.core.errors import SuperresError

Values = dict[Any, Any]
"""What the controls say, by component."""
Updates = dict[Any, Any]
"""What they are to say."""


def wire(page: Any, c: Controls, events: Callable[[], Any]) -> None:
    """Say what calls which function.

    Args:
        page: the `Blocks` that the controls are on.
        c: the controls.
        events: returns the functions, a `superres.app.events.Events`.
    """
    knobs = [*c.entropies.values(), c.detail, c.several, c.seed]
    inputs = {
        *(c.files, c.which, *knobs, c.model, c.across, c.down, c.edge),
        *(c.every, c.format, c.results, c.sample, c.uploads, c.axes),
    }
    outputs = [
        *(c.which, c.divider, c.status, c.overview, c.across, c.down, c.restore, c.every),
        *(c.samples, c.download, c.archive, c.command, c.sure, c.several, c.sheet),
        *(c.results, c.sample, c.uploads, c.axes, *c.entropies.values()),
    ]
    hidden: dict[str, Any] = {"api_visibility": "private"}
    work: dict[str, Any] = {
        **hidden,
        "concurrency_id": "restoring",
        "show_progress": "full",
        "show_progress_on": c.status,
    }
    latest = {**work, "trigger_mode": "always_last", "show_progress": "minimal"}

    def safe(function: Callable[[], Updates]) -> Updates:
        """Return what a function does, or what is wrong, to be shown on the page."""
        try:
            return function()
        except Stopped:
            return {c.status: message("Stopped.")}
        except MemoryError:
            return {c.status: message("Not enough memory for this picture.", True)}
        except (SuperresError, OSError) as error:
            return {c.status: message(str(error), True)}

    # Gradio reads from a function's parameters what it wants beside the controls' values.
    def of(name: str) -> Callable[..., Updates]:
        def reported(values: Values, request: gr.Request, progress: Any = gr.Progress()) -> Updates:
            return safe(lambda: getattr(events(), name)(values, request, progress))

        return reported

    def at(name: str) -> Callable[..., Updates]:
        def reported(
            values: Values,
            request: gr.Request,
            place: gr.SelectData,
            progress: Any = gr.Progress(),
        ) -> Updates:
            return safe(lambda: getattr(events(), name)(values, request, place, progress))

        return reported

    def point(
        values: Values, request: gr.Request, place: gr.EventData, progress: Any = gr.Progress()
    ) -> Updates:
        return safe(lambda: events().point(values, request, place, progress))

    def stop(request: gr.Request) -> Any:
        return events().stop(request)

    def leave(request: gr.Request) -> None:
        events().leave(request)

    # First, so that no other function has taken its name.
    *api_inputs, api_output, trigger = c.api
    trigger.click(
        for_programs(lambda: events().bench),
        api_inputs,
        api_output,
        api_name="restore",
        concurrency_id="restoring",
    )
    c.files.change(of("arrive"), inputs, outputs, **latest)
    gr.on(
        [*(one.input for one in knobs), c.which.input, c.across.input, c.down.input],
        of("look"),
        inputs,
        outputs,
        **latest,
    )
    c.model.input(of("change_model"), inputs, outputs, **latest)
    c.edge.input(of("look"), inputs, outputs, **latest)
    c.overview.click(point, inputs, outputs, **latest)
    c.estimate.click(of("estimate"), inputs, outputs, **work)
    c.restore.click(of("restore"), inputs, outputs, **work)
    c.draw.click(of("draw"), inputs, outputs, **work)
    c.sheet.select(at("choose_entropies"), inputs, outputs, **latest)
    c.samples.select(at("choose_sample"), inputs, outputs, **latest)
    c.format.input(of("look"), inputs, outputs, **latest)
    c.stop.click(stop, None, c.status, queue=False, show_progress="hidden", **hidden)
    page.unload(leave)
