"""What the controls say, and showing the part of the picture that they name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from superres.app.html_parts import message
from superres.app.html_pictures import divider, overview, shown
from superres.app.layout import SAMPLES, SUFFIXES, Controls
from superres.app.pace import Pace
from superres.app.parts import Part, cut, part_of
from superres.app.sessions import session_of
from superres.app.settings import ESTIMATE, Settings, command
from superres.app.wiring import Updates, Values
from superres.app.workbench import Result, Watch, Workbench


class Looking:
    """What all of the page's functions need.

    Args:
        controls: the components.
        bench: what does the work.
        options: flags that a command line needs to do as the page does.
    """

    def __init__(self, controls: Controls, bench: Workbench, options: Sequence[str]) -> None:
        self.c = controls
        self.bench = bench
        self.options = options

    def settings(self, values: Values) -> Settings:
        """Return what the controls say; a slider that the model does not know says nothing."""
        c = self.c
        folder = values[c.model]
        known = self.bench.restorer(folder).corruptions
        return Settings(
            folder,
            {name: round(float(values[c.entropies[name]] or 0), 2) for name in known},
            values[c.detail],
            int(values[c.seed] or 0),
            SAMPLES if values[c.several] and values[c.detail] != ESTIMATE else 1,
        )

    def look(self, values: Values, request: gr.Request, progress: Any = gr.Progress()) -> Updates:
        """Show the part before and after: of the whole result if there is one, else on its own."""
        c = self.c
        changed: Updates = {c.several: gr.update(visible=values[c.detail] != ESTIMATE)}
        path = values[c.which]
        if not path:
            return changed
        settings = self.settings(values)
        file = self.bench.read(path)
        here = self._here(values)
        part = cut(file.picture, here)
        profile = file.info.get("icc_profile")
        pace = Pace()
        result = self._result(values, settings)
        sample = min(int(values[c.sample]), len(result.pictures) - 1) if result else 0
        if result:
            after = self._cut_of(result, sample, here)
        else:
            watch = self._watch(progress, pace)
            after = self.bench.restore_part(settings, part, session_of(request), watch)
        scale = self.bench.restorer(settings.model).scale
        height, width = (edge * scale for edge in file.picture.size)
        name = self._detail(settings, sample if result else None)
        changed |= {
            c.divider: divider(
                shown(part, profile), shown(after, profile), ("before, enlarged", f"after, {name}")
            ),
            c.overview: overview(file.picture, profile, here),
            c.status: message(
                self._kept(result, sample, values)
                if result
                else "This part as a picture of its own. "
                f"The whole will have {width} x {height} px."
            ),
            c.restore: gr.update(interactive=True),
            c.command: self._command(settings, path, values),
        }
        changed |= self._to_download(values, result, sample)
        changed |= self._to_download_all(values, settings, request, progress)
        changed |= self._to_choose(result, here)
        return changed

    def _here(self, values: Values) -> Part:
        c = self.c
        picture = self.bench.read(values[c.which]).picture
        return part_of(picture, values[c.across] / 100, values[c.down] / 100, values[c.edge])

    def _result(self, values: Values, settings: Settings, path: str | None = None) -> Result | None:
        """Return a picture, that shown by default, restored whole as the controls say now."""
        result = values[self.c.results].get(path or values[self.c.which])
        return result if result is not None and result.settings == settings else None

    def _cut_of(self, result: Result, sample: int, here: Part) -> Any:
        scale = self.bench.restorer(result.settings.model).scale
        rows, columns = (slice(scale * one.start, scale * one.stop) for one in here)
        return cut(result.pictures[sample], (rows, columns))

    def _detail(self, settings: Settings, sample: int | None) -> str:
        if sample is None or settings.samples == 1:
            return settings.detail
        return f"{settings.detail}, sample {sample + 1}"

    def _command(self, settings: Settings, path: str, values: Values) -> str:
        suffix = SUFFIXES[values[self.c.format]]
        return command(settings, Path(path).name, suffix, self.options)

    def _to_download(self, values: Values, result: Result | None, sample: int) -> Updates:
        c = self.c
        if result is None:
            return {c.download: gr.update(value=None, interactive=False, label="Download")}
        out, _ = self.bench.save(result, sample, SUFFIXES[values[c.format]])
        name = out.suffix[1:].upper()
        return {
            c.download: gr.update(value=str(out), interactive=True, label=f"Download {name}"),
        }

    def _to_download_all(
        self, values: Values, settings: Settings, request: gr.Request, progress: Any
    ) -> Updates:
        """Offer all pictures as one file, once each is restored as the controls say."""
        c = self.c
        paths = values[c.uploads]
        results = [self._result(values, settings, path) for path in paths]
        done = [one for one in results if one is not None]
        if len(paths) < 2 or len(done) < len(paths):
            return {c.archive: gr.update(value=None, visible=False)}
        watch = self._watch(progress, Pace(), "writing files, ")
        suffix = SUFFIXES[values[c.format]]
        out = self.bench.save_all(done, suffix, session_of(request), watch)
        return {c.archive: gr.update(value=str(out), visible=True)}

    def _kept(self, result: Result, sample: int, values: Values, spent: str = "") -> str:
        """Say that the whole picture is restored, and what its format could not hold."""
        notes = self.bench.save(result, sample, SUFFIXES[values[self.c.format]])[1]
        return "; ".join((f"The whole picture is restored{spent}.", *notes))

    def _to_choose(self, result: Result | None, here: Part) -> Updates:
        if result is None or len(result.pictures) == 1:
            return {self.c.samples: gr.update(value=None, visible=False)}
        profile = result.file.info.get("icc_profile")
        pictures = [
            (shown(self._cut_of(result, index, here), profile), f"sample {index + 1}")
            for index in range(len(result.pictures))
        ]
        return {self.c.samples: gr.update(value=pictures, visible=True)}

    def _watch(self, progress: Any, pace: Pace, place: str = "") -> Watch:
        return lambda done, total: progress((done, total), desc=place + pace.left(done, total))
