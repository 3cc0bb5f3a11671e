"""What happens on the page: functions of what the controls say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from superres.app.html_parts import WELCOME, message, sureness
from superres.app.html_pictures import shown
from superres.app.looking import Looking
from superres.app.pace import Pace
from superres.app.parts import cut, share_of_most_detail
from superres.app.sessions import session_of
from superres.app.settings import Settings, Stopped
from superres.app.wiring import Updates, Values
from superres.core.errors import SuperresError
from superres.restoration.entropy_sheet import PART, grid_of


class Events(Looking):
    """The page's functions.

    Args:
        controls: the components.
        bench: what does the work.
        options: flags that a command line needs to do as the page does.
    """

    def arrive(self, values: Values, request: gr.Request, progress: Any = gr.Progress()) -> Updates:
        """Look at what was dropped: the readable pictures can be shown, the others are named."""
        c = self.c
        paths, faults = [], []
        for path in values[c.files] or []:
            try:
                self.bench.read(path)
                paths.append(path)
            except SuperresError as error:
                faults.append(str(error))
        fresh = not values[c.uploads]
        changed: Updates = {c.uploads: paths}
        kept = {path: one for path, one in values[c.results].items() if path in paths}
        names = [(Path(path).name, path) for path in paths]
        chosen = values[c.which] if values[c.which] in paths else (paths[0] if paths else None)
        changed[c.results] = kept
        changed[c.which] = gr.update(choices=names, value=chosen, visible=len(paths) > 1)
        changed[c.every] = gr.update(visible=len(paths) > 1)
        if chosen is None:
            changed |= {
                c.divider: WELCOME,
                c.overview: "",
                c.command: "",
                c.restore: gr.update(interactive=False),
                c.download: gr.update(value=None, interactive=False),
                c.archive: gr.update(value=None, visible=False),
                c.samples: gr.update(value=None, visible=False),
                c.status: message("; ".join(faults), bool(faults)),
            }
            return changed
        values = {**values, c.which: chosen, c.results: kept, c.uploads: paths}
        if fresh:
            across, down = share_of_most_detail(self.bench.read(chosen).picture, values[c.edge])
            values |= {c.across: round(100 * across), c.down: round(100 * down)}
            changed |= {c.across: values[c.across], c.down: values[c.down]}
            changed |= self._estimated(values)
            values |= {one: changed[one] for one in c.entropies.values() if one in changed}
        changed |= self.look(values, request, progress)
        if faults:
            changed[c.status] = message("; ".join(faults), True)
        return changed

    def change_model(
        self, values: Values, request: gr.Request, progress: Any = gr.Progress()
    ) -> Updates:
        """Show the sliders of the chosen model, and what it makes of the part."""
        c = self.c
        known = self.bench.restorer(values[c.model]).corruptions
        sliders = {one: gr.update(visible=name in known) for name, one in c.entropies.items()}
        gone = {c.sure: "", c.sheet: gr.update(value=None, visible=False)}
        return {**self.look(values, request, progress), **sliders, **gone}

    def point(
        self,
        values: Values,
        request: gr.Request,
        place: gr.EventData,
        progress: Any = gr.Progress(),
    ) -> Updates:
        """Look where somebody clicked on the small copy."""
        c = self.c
        if not values[c.which]:
            return {}
        height, width = self.bench.read(values[c.which]).picture.size
        moved = {}
        for slider, share, length in (
            (c.across, float(place.across), width),
            (c.down, float(place.down), height),
        ):
            first = share * length - values[c.edge] / 2
            room = max(1, length - values[c.edge])
            moved[slider] = round(100 * min(1.0, max(0.0, first / room)))
        return {**moved, **self.look({**values, **moved}, request, progress)}

    def estimate(
        self, values: Values, request: gr.Request, progress: Any = gr.Progress()
    ) -> Updates:
        """Set the entropies to what is found in the picture."""
        if not values[self.c.which]:
            raise SuperresError("drop a picture first")
        found = self._estimated(values, missing_is_wrong=True)
        return {**self.look({**values, **found}, request, progress), **found}

    def restore(
        self, values: Values, request: gr.Request, progress: Any = gr.Progress()
    ) -> Updates:
        """Restore whole what is shown, or those of all pictures that are not yet."""
        c = self.c
        settings = self.settings(values)
        paths = values[c.uploads] if values[c.every] else [values[c.which]]
        results = dict(values[c.results])
        values = {**values, c.results: results, c.sample: 0}
        pace = Pace()
        missing = [path for path in paths if self._result(values, settings, path) is None]
        done = len(paths) - len(missing)
        try:
            for path in missing:
                place = f"{done + 1} of {len(paths)}, " if len(paths) > 1 else ""
                watch = self._watch(progress, pace if len(paths) == 1 else Pace(), place)
                results[path] = self.bench.restore_whole(settings, path, session_of(request), watch)
                done += 1
            looked = self.look(values, request, progress)
        except Stopped:
            kept = f" {done} of {len(paths)} pictures are restored." if len(paths) > 1 else ""
            return {c.results: results, c.status: message(f"Stopped.{kept}")}
        changed = {**looked, c.results: results, c.sample: 0}
        spent = f", in {pace.spent()}"
        result = self._result(values, settings)
        if len(paths) == 1 and result is not None:
            changed[c.status] = message(self._kept(result, 0, values, spent))
        else:
            changed[c.status] = message(f"All {len(paths)} pictures are restored{spent}.")
        return changed

    def draw(self, values: Values, request: gr.Request, progress: Any = gr.Progress()) -> Updates:
        """Draw a sheet of the part's middle under a grid of entropies."""
        c = self.c
        if not values[c.which]:
            raise SuperresError("drop a picture first")
        file = self.bench.read(values[c.which])
        rows, columns = self._here(values)
        middle = []
        for one in (rows, columns):
            inset = max(0, (one.stop - one.start - PART) // 2) // 8 * 8
            middle.append(slice(one.start + inset, min(one.start + inset + PART, one.stop)))
        made = self.bench.sheet(
            self.settings(values),
            cut(file.picture, (middle[0], middle[1])),
            session_of(request),
            self._watch(progress, Pace()),
        )
        axes = self.bench.axes(self.settings(values))
        profile = file.info.get("icc_profile")
        pictures = [
            (shown(one, profile), ", ".join(f"{entropies[name]:g}" for name in axes))
            for one, entropies in made
        ]
        label = f"{' and '.join(axes)}: choose one to set {'both' if len(axes) > 1 else 'it'}"
        return {
            c.axes: axes,
            c.sheet: gr.update(value=pictures, visible=True, label=label),
            c.status: message("Choose the one that looks best: most detail, no halos."),
        }

    def choose_entropies(
        self,
        values: Values,
        request: gr.Request,
        place: gr.SelectData,
        progress: Any = gr.Progress(),
    ) -> Updates:
        """Set the entropies of the picture of the sheet that was clicked."""
        c = self.c
        axes = values[c.axes]
        entropies = [one for row in grid_of(axes, {}) for one in row][place.index]
        values = {**values, **{c.entropies[name]: value for name, value in entropies.items()}}
        looked = self.look(values, request, progress)
        return {**looked, c.sure: "", **{c.entropies[name]: entropies[name] for name in axes}}

    def choose_sample(
        self,
        values: Values,
        request: gr.Request,
        place: gr.SelectData,
        progress: Any = gr.Progress(),
    ) -> Updates:
        """Show the sample that was clicked, for the download."""
        values = {**values, self.c.sample: place.index}
        return {**self.look(values, request, progress), self.c.sample: place.index}

    def stop(self, request: gr.Request) -> Any:
        """End this tab's work at its next batch of windows."""
        return message("Stopping ...") if self.bench.stop(session_of(request)) else gr.skip()

    def leave(self, request: gr.Request) -> None:
        """End the work of a tab that was closed."""
        self.bench.stop(session_of(request))

    def _estimated(self, values: Values, missing_is_wrong: bool = False) -> Updates:
        """Return the sliders as found in the picture; nothing without an estimator."""
        c = self.c
        try:
            estimates, between = self.bench.estimate(
                Settings(values[c.model], {}), self.bench.read(values[c.which]).picture
            )
        except SuperresError:
            if missing_is_wrong:
                raise
            return {c.sure: ""}
        found: Updates = {c.entropies[name]: value for name, value in estimates.items()}
        return {**found, c.sure: sureness(estimates, between)}
