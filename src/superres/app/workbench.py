"""What the page does, without the page: uploads within limits, restorers, what can be stopped."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from superres.app.archive import write_archive
from superres.app.settings import (
    DETAILS,
    ESTIMATE,
    Limits,
    Settings,
    Stopped,
    numbered,
    restored_name,
    sampling_options,
)
from superres.core.errors import SuperresError
from superres.core.images import UnreadableImage, decoding
from superres.core.precision import Computing, remark
from superres.core.terminal import echo
from superres.restoration.entropy_sheet import grid_of
from superres.restoration.formats import target
from superres.restoration.order import Order, carry_out, write_restored
from superres.restoration.picture import Picture
from superres.restoration.picture_files import PictureFile, read_picture
from superres.restoration.restorer import Restorer, load
from superres.sampling.batch import Sampling

ARCHIVE = "restored.zip"
KEPT_UPLOADS = 3
"""Decoded, over all tabs."""

Watch = Callable[[int, int], object]
"""Told how many windows of how many have been evaluated."""


@dataclass
class Result:
    """A picture restored whole.

    Args:
        file: what it was made of.
        name: of the uploaded file.
        settings: how.
        orders: one per sample.
        pictures: one per sample.
        saved: path and what could not be held, by sample and suffix.
    """

    file: PictureFile
    name: str
    settings: Settings
    orders: list[Order]
    pictures: list[Picture] = field(default_factory=list)
    saved: dict[tuple[int, str], tuple[Path, tuple[str, ...]]] = field(default_factory=dict)


class Workbench:
    """Restores what was uploaded.

    Args:
        folders: of the models that may be used.
        limits: what is accepted.
        temporary: where restored files are written, each in a folder of its own.
        version: of the program, noted in what is written.
        options: for `superres.load`: device, window, batch, precision.
    """

    def __init__(
        self, folders: Sequence[str], limits: Limits, temporary: Path, version: str, **options: Any
    ) -> None:
        self.folders = list(folders)
        self.limits = limits
        self._temporary = temporary
        self._version = version
        self._options = options
        self._restorers: dict[str, Restorer] = {}
        self._uploads: OrderedDict[str, PictureFile] = OrderedDict()
        self._lock = threading.Lock()
        self._archives: dict[tuple[Path, ...], Path] = {}
        self._running: dict[str, list[threading.Event]] = {}
        self._ended = threading.Condition(self._lock)
        self._closed = False

    def restorer(self, folder: str) -> Restorer:
        """Return the model of a folder, loaded once.

        Raises:
            SuperresError: not one of the page's models, or one that cannot be loaded.
        """
        if folder not in self.folders:
            raise SuperresError(f"model: must be one of {', '.join(self.folders)}, got {folder!r}")
        with self._lock:
            if folder not in self._restorers:
                restorer = self._restorers[folder] = load(folder, **self._options)
                precision = self._options.get("precision", Computing().precision)
                if about := remark("--precision", precision, restorer.model.device):
                    echo(about, sys.stderr)
            return self._restorers[folder]

    def read(self, path: str) -> PictureFile:
        """Return an uploaded picture; the last few are kept, since names follow from contents.

        Raises:
            SuperresError: no picture, a damaged one, more bytes or pixels than the limits; it names
                the file as the person knows it.
        """
        with self._lock:
            if path in self._uploads:
                self._uploads.move_to_end(path)
                return self._uploads[path]
        try:
            self._check(Path(path))
            file = read_picture(path)
        except UnreadableImage as error:
            raise SuperresError(f"{Path(path).name}: {error.reason}") from error
        with self._lock:
            self._uploads[path] = file
            while len(self._uploads) > KEPT_UPLOADS:
                self._uploads.popitem(last=False)
        return file

    def _check(self, path: Path) -> None:
        megabytes = path.stat().st_size / 1e6
        if megabytes > self.limits.megabytes:
            raise UnreadableImage(
                path, f"{megabytes:.1f} MB, more than the limit of {self.limits.megabytes:g} MB"
            )
        with decoding(path) as image:
            megapixels = image.width * image.height / 1e6
        if megapixels > self.limits.megapixels:
            limit = f"the limit of {self.limits.megapixels:g} megapixels"
            raise UnreadableImage(path, f"{megapixels:.1f} megapixels, more than {limit}")

    @contextmanager
    def stoppable(self, session: str) -> Iterator[Callable[[], None]]:
        """Yield a function that raises `Stopped` once the session's work is to end."""
        event = threading.Event()
        with self._lock:
            self._running.setdefault(session, []).append(event)
            if self._closed:
                event.set()

        def check() -> None:
            if event.is_set():
                raise Stopped

        try:
            yield check
        finally:
            with self._lock:
                self._running[session].remove(event)
                if not self._running[session]:
                    del self._running[session]
                self._ended.notify_all()

    def stop(self, session: str) -> bool:
        """End a session's work at its next batch of windows; return whether there was any."""
        with self._lock:
            events = self._running.get(session, [])
            for event in events:
                event.set()
            return bool(events)

    def close(self) -> None:
        """End all work at its next batch of windows, and wait for that; none begins any more."""
        with self._lock:
            self._closed = True
            for event in [one for events in self._running.values() for one in events]:
                event.set()
            self._ended.wait_for(lambda: not self._running)

    def how(self, settings: Settings) -> Sampling | None:
        """Return how settings sample.

        Raises:
            SuperresError: an unknown detail, something that the model cannot do.
        """
        if settings.detail not in DETAILS:
            known = ", ".join(DETAILS)
            raise SuperresError(f"detail: must be one of {known}, got {settings.detail!r}")
        if settings.detail == ESTIMATE:
            return None
        restorer = self.restorer(settings.model)
        how = restorer.sampling(**sampling_options(settings))
        restorer.check(how)
        return how

    def order(self, settings: Settings, picture: Picture, repeat: int = 0) -> Order:
        """Return what is to be done to a picture.

        Raises:
            SuperresError: as `how` and `Restorer.entropies`.
        """
        chosen = self.restorer(settings.model).entropies(picture, settings.entropies)
        return Order(chosen, self.how(settings), settings.seed, repeat)

    def estimate(
        self, settings: Settings, picture: Picture
    ) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
        """Return the entropies found in a picture, and between what each lies, four times in five.

        Raises:
            SuperresError: no estimator beside the model.
        """
        estimator = self.restorer(settings.model).estimator()
        return estimator.estimate_with_spread(picture.visible_part().signal())

    def restore_part(
        self, settings: Settings, part: Picture, session: str, watch: Watch | None = None
    ) -> Picture:
        """Return a part restored as if it were a picture of its own.

        Raises:
            SuperresError: as `order`.
            Stopped: see there.
        """
        return self._restored(settings, [part], [self.order(settings, part)], session, watch)[0]

    def restore_whole(
        self, settings: Settings, path: str, session: str, watch: Watch | None = None
    ) -> Result:
        """Return a picture restored, as many samples as settings say.

        Raises:
            SuperresError: as `read` and `order`.
            Stopped: see there.
        """
        file = self.read(path)
        count = settings.samples if settings.detail != ESTIMATE else 1
        orders = [self.order(settings, file.picture, repeat) for repeat in range(count)]
        pictures = self._restored(settings, [file.picture] * count, orders, session, watch)
        return Result(file, Path(path).name, settings, orders, pictures)

    def axes(self, settings: Settings) -> list[str]:
        """Return which corruptions a sheet varies: the two that are strongest now, in their order.

        Raises:
            SuperresError: a model without corruptions.
        """
        names = self.restorer(settings.model).corruptions
        if not names:
            raise SuperresError("this model knows no corruptions, so there is nothing to choose")
        strongest = sorted(names, key=lambda name: -settings.entropies.get(name, 0.0))[:2]
        return [name for name in names if name in strongest]

    def sheet(
        self, settings: Settings, picture: Picture, session: str, watch: Watch | None = None
    ) -> list[tuple[Picture, dict[str, float]]]:
        """Return a small picture's estimates under a grid of entropies, row by row.

        Raises:
            SuperresError: a model without corruptions.
            Stopped: see there.
        """
        axes = self.axes(settings)
        chosen = self.order(settings, picture).entropies
        grid = [one for row in grid_of(axes, chosen) for one in row]
        orders = [Order(one, None, settings.seed) for one in grid]
        made = self._restored(settings, [picture] * len(grid), orders, session, watch)
        return list(zip(made, grid, strict=True))

    def _restored(
        self,
        settings: Settings,
        pictures: Sequence[Picture],
        orders: Sequence[Order],
        session: str,
        watch: Watch | None,
    ) -> list[Picture]:
        restorer = self.restorer(settings.model)
        total = sum(
            restorer.windows(picture, order.how)
            for picture, order in zip(pictures, orders, strict=True)
        )
        done = 0
        with self.stoppable(session) as check:

            def moved(windows: int) -> None:
                nonlocal done
                done += windows
                check()
                if watch is not None:
                    watch(done, total)

            return [
                carry_out(restorer, picture, order, moved)
                for picture, order in zip(pictures, orders, strict=True)
            ]

    def save(self, result: Result, sample: int, suffix: str) -> tuple[Path, tuple[str, ...]]:
        """Write a restored picture once; return its path, and what the format could not hold.

        Args:
            result: what was restored.
            sample: which, from 0.
            suffix: of the format: `.png`, `.jpg`, `.webp` or `.tif`.
        """
        if (sample, suffix) in result.saved:
            return result.saved[sample, suffix]
        restorer = self.restorer(result.settings.model)
        name = restored_name(result.name, suffix)
        folder = Path(tempfile.mkdtemp(dir=self._temporary))
        wanted = folder / numbered(name, sample, len(result.pictures))
        out = target(wanted, result.file.picture, restorer.scale)
        order, picture = result.orders[sample], result.pictures[sample]
        notes = write_restored(out, picture, result.file, restorer, order, self._version)
        if out != wanted:
            kind = suffix.removeprefix(".").upper()
            notes = (f"{kind} cannot hold this picture: it became PNG", *notes)
        result.saved[sample, suffix] = out, notes
        return out, notes

    def save_all(
        self, results: Sequence[Result], suffix: str, session: str, watch: Watch | None = None
    ) -> Path:
        """Write several restored pictures with all their samples to a ZIP file; return its path.

        Raises:
            Stopped: see there.
        """
        wanted = [(one, sample) for one in results for sample in range(len(one.pictures))]
        files = []
        with self.stoppable(session) as check:
            for done, (result, sample) in enumerate(wanted):
                check()
                if watch is not None:
                    watch(done, len(wanted))
                files.append(self.save(result, sample, suffix)[0])
        if tuple(files) not in self._archives:
            out = Path(tempfile.mkdtemp(dir=self._temporary)) / ARCHIVE
            write_archive(out, files)
            self._archives[tuple(files)] = out
        return self._archives[tuple(files)]
