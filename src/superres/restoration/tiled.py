"""Restoring one picture of any size: the diffusion sees all of it, the network a window at a time.

At every evaluation the network's outputs for overlapping windows are blended into one output for
the whole picture, so neighbouring windows cannot drift apart and no seam appears. With one window
this is the plain sampler.

The picture is divided into bands of rows. Each band has an ordinary sampler of its own, whose
requests are answered as soon as the last window that reaches into it has been evaluated. Thus only
the noisy picture itself (and what a sampler keeps from step to step) is ever held in full.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from types import SimpleNamespace

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from superres.core.seeding import derive_seed
from superres.diffusion.noise import ItemNoise
from superres.diffusion.prediction import Request, Requests, posterior_mean
from superres.model.resolver import Conditioned
from superres.model.signal_space import Signal
from superres.restoration.job import Band, Job
from superres.restoration.windows import Grid, Window
from superres.sampling.batch import Sampling, begin_sample, bind
from superres.sampling.finishing import Rows, finished_in_bands

BAND_PIXELS = 2**20
MAX_BANDS = 32
"""Each is worked on by itself at every step; larger pictures get larger bands."""

REACH = 3
"""Rows of the input beyond a band that its interpolation needs; bicubic reaches 2."""


@torch.no_grad()
def restore_in_bands(
    job: Job,
    how: Sampling | None,
    repeat: int = 0,
    watch: Callable[[int], object] | None = None,
) -> Iterator[tuple[Band, Tensor]]:
    """Yield the restored picture band by band: rows, and pixels in about [-1, 1], (1, 3, rows, W).

    Args:
        job: the picture.
        how: how to sample; `None` gives the posterior's mean in one evaluation.
        repeat: which of the picture's samples; each has noise of its own.
        watch: called with the number of windows evaluated, as they are; once per window of
            `job.grid()` and evaluation in all.

    Raises:
        SuperresError: a window that does not fit the model.
        ValueError: something that the sampler or the model cannot do.
    """
    grid = job.grid()
    prepared = Prepared(job, grid, watch if how is None else None) if job.model.needs else None
    bands = _bands(job.size, job.model.spec.scale) if len(grid) > 1 else [Band(0, job.size[0])]
    if prepared is not None and how is None:
        for band in bands:
            yield band, job.limited(_mean(prepared.signal(band)), band.top)
        return
    sampled = _sampled(job, how, repeat, watch, prepared, bands, grid)
    if how is None or not how.finish:
        yield from sampled
        return
    if prepared is None:
        raise ValueError("finishing a sample needs a network that knows the mean")
    signal = prepared.signal
    rows = (Rows(picture, _mean(signal(band))) for band, picture in sampled)
    finished = finished_in_bands(rows, how.finish, job.model.spec.scale)
    for band, picture in zip(bands, finished, strict=True):
        yield band, job.limited(picture, band.top)


def _mean(signal: Signal) -> Tensor:
    mean = signal.mean()
    assert mean is not None  # a network that is evaluated beforehand says it
    return mean


def _sampled(
    job: Job,
    how: Sampling | None,
    repeat: int,
    watch: Callable[[int], object] | None,
    prepared: Prepared | None,
    bands: Sequence[Band],
    grid: Grid,
) -> Iterator[tuple[Band, Tensor]]:
    """Yield what `restore_in_bands` does, before it is finished."""
    samplers = [_sampler(job, band, how, repeat, prepared) for band in bands]
    requests = [next(sampler) for sampler in samplers]
    while requests:
        further: list[Request] = []
        for index, output in _evaluate(job, how, grid, bands, requests, watch, prepared):
            try:
                further.append(samplers[index].send(output))
                continue
            except StopIteration as end:
                x = end.value
            yield bands[index], _on_rows(job, bands[index], _decoded, prepared)(x)
        requests = further


def _bands(size: tuple[int, int], scale: int) -> list[Band]:
    rows = size[0] // scale
    count = min(MAX_BANDS, rows, math.ceil(size[0] * size[1] / BAND_PIXELS))
    edges = [rows * index // count * scale for index in range(count + 1)]
    return [Band(top, bottom) for top, bottom in pairwise(edges)]


def _sampler(
    job: Job, band: Band, how: Sampling | None, repeat: int, prepared: Prepared | None
) -> Requests[Tensor]:
    """Return a band's sampler, about to begin."""
    model = job.model
    height, width = job.size
    channels = model.channels
    purpose = "estimate" if how is None else "sample"
    seed = derive_seed(job.seed, purpose, job.item, repeat)
    draw = ItemNoise([seed], (channels, height, width), model.device, band)
    # What limits x0 is interpolated anew each time: it is never held.
    clip = _on_rows(job, band, _clipped, prepared)
    if how is None:
        return posterior_mean(model.diffusion, draw(), clip)
    return begin_sample(model, (1, channels, band.bottom - band.top, width), draw, clip, how)


def _clipped(job: Job, signal: Signal, x0: Tensor, top: int) -> Tensor:
    x0 = signal.clip(x0)
    if job.extremes is None:
        return x0
    return signal.encode(job.limited(signal.decode(x0), top))


def _decoded(job: Job, signal: Signal, x: Tensor, top: int) -> Tensor:
    return job.limited(signal.decode(x), top)


def _on_rows(
    job: Job,
    band: Band,
    function: Callable[[Job, Signal, Tensor, int], Tensor],
    prepared: Prepared | None,
) -> Callable[[Tensor], Tensor]:
    """Return a function of a job, a signal, its x and the first row as one of a band's x alone.

    The band gets rows around it, so that the input is interpolated as in the full picture; where
    the network has said what the signal needs, that is taken instead.
    """
    if prepared is not None:
        return lambda x: function(job, prepared.signal(band), x, band.top)
    scale = job.model.spec.scale
    above = max(0, band.top // scale - REACH)
    below = min(job.low.shape[2], band.bottom // scale + REACH)
    low = job.low[:, :, above:below]
    before, after = band.top - above * scale, below * scale - band.bottom

    def on_rows(x: Tensor) -> Tensor:
        around = F.pad(x, (0, 0, before, after))
        result = function(job, job.model.signal(low), around, above * scale)
        return result[:, :, before : result.shape[2] - after]

    return on_rows


def _evaluate(
    job: Job,
    how: Sampling | None,
    grid: Grid,
    bands: Sequence[Band],
    requests: list[Request],
    watch: Callable[[int], object] | None,
    prepared: Prepared | None,
) -> Iterator[tuple[int, Tensor]]:
    """Yield each band's blended output, in order, as soon as it is complete."""
    pixels: dict[int, Tensor] = {index: request.x_t for index, request in enumerate(requests)}
    timesteps = requests[0].timesteps
    requests.clear()  # a band's pixels are let go when they are no longer needed
    sums: dict[int, Tensor] = {}
    complete = 0
    for first, windows in job.batches(grid):
        noisy = _noisy(grid, windows, bands, pixels)
        known = None if prepared is None else prepared.conditioned(first)
        denoiser = bind(known or _conditioned(job, grid, windows), how)
        output = denoiser(noisy, timesteps.expand(len(windows)))
        del noisy, known, denoiser
        if len(grid) == 1:
            sums[0] = output
        else:
            for window, one in zip(windows, output, strict=True):
                _add(sums, grid, window, bands, one)
        if watch is not None:
            watch(len(windows))
        del output
        rest = grid.windows[first + len(windows) :]
        reached = rest[0].row if rest else job.size[0]
        while complete < len(bands) and bands[complete].bottom <= reached:
            del pixels[complete]
            yield complete, sums.pop(complete)
            complete += 1


def _noisy(
    grid: Grid, windows: Sequence[Window], bands: Sequence[Band], pixels: dict[int, Tensor]
) -> Tensor:
    """Return the noisy pixels of some windows, (number of windows, channels, height, width)."""
    height, width = grid.shape
    noisy = []
    for row, column in windows:
        columns = slice(column, column + width)
        parts = [
            pixels[index][:, :, max(row - band.top, 0) : row + height - band.top, columns]
            for index, band in _touched(bands, row, height)
        ]
        noisy.append(torch.cat(parts, dim=2))
    return torch.cat(noisy)


def _conditioned(job: Job, grid: Grid, windows: Sequence[Window]) -> Conditioned:
    """Return the model given the inputs of some windows."""
    scale = job.model.spec.scale
    height, width = grid.shape
    low = [
        job.low[
            :,
            :,
            row // scale : (row + height) // scale,
            column // scale : (column + width) // scale,
        ]
        for row, column in windows
    ]
    return job.model.condition(torch.cat(low), job.entropy.expand(len(windows), -1))


class Prepared:
    """What a network says of a picture's conditions, evaluated once for all steps.

    What the signal needs is blended into one picture, as outputs are. The rest is kept by windows;
    where there are several, in half precision, since it grows with the picture.

    Args:
        job: the picture.
        grid: its windows.
        watch: called with the number of windows evaluated, where nothing else will be.
    """

    def __init__(self, job: Job, grid: Grid, watch: Callable[[int], object] | None = None) -> None:
        self._job = job
        self._kept: dict[int, Conditioned] = {}
        self._maps: dict[str, Tensor] = {}
        self._whole: Signal | None = None
        for first, windows in job.batches(grid):
            conditioned = _conditioned(job, grid, windows)
            for name in job.model.needs:
                self._blend(name, getattr(conditioned.conditions, name), grid, windows)
            self._kept[first] = conditioned if len(grid) == 1 else conditioned.lightened()
            if watch is not None:
                watch(len(windows))

    def _blend(self, name: str, values: Tensor, grid: Grid, windows: Sequence[Window]) -> None:
        if len(grid) == 1:
            self._maps[name] = values
            return
        height, width = grid.shape
        if name not in self._maps:
            self._maps[name] = values.new_zeros(1, values.shape[1], *grid.size)
        for window, one in zip(windows, values, strict=True):
            rows = slice(window.row, window.row + height)
            columns = slice(window.column, window.column + width)
            weighted = one * grid.weights(window, one.device)
            self._maps[name][0, :, rows, columns] += weighted

    def conditioned(self, first: int) -> Conditioned:
        """Return the model given the windows of the batch that begins with the first."""
        return self._kept[first]

    def signal(self, band: Band) -> Signal:
        """Return what is diffused in a band.

        Where that is all of the picture, what follows from the conditions is computed once for all
        steps; of more bands it would fill memory.
        """
        if band != (0, self._job.size[0]):
            return self._signal(band)
        if self._whole is None:
            self._whole = self._signal(band)
        return self._whole

    def _signal(self, band: Band) -> Signal:
        scale = self._job.model.spec.scale
        rows = {name: whole[:, :, band.top : band.bottom] for name, whole in self._maps.items()}
        low = self._job.low[:, :, band.top // scale : band.bottom // scale]
        return self._job.model.signal(low, lambda: SimpleNamespace(**rows))


def _add(
    sums: dict[int, Tensor], grid: Grid, window: Window, bands: Sequence[Band], output: Tensor
) -> None:
    """Add a window's output, (channels, height, width), to the bands that it reaches into."""
    weighted = output * grid.weights(window, output.device)
    height, width = grid.shape
    for index, band in _touched(bands, window.row, height):
        if index not in sums:
            rows = band.bottom - band.top
            sums[index] = output.new_zeros(1, len(output), rows, grid.size[1])
        top, bottom = max(band.top, window.row), min(band.bottom, window.row + height)
        columns = slice(window.column, window.column + width)
        sums[index][0, :, top - band.top : bottom - band.top, columns] += weighted[
            :, top - window.row : bottom - window.row
        ]


def _touched(bands: Sequence[Band], row: int, height: int) -> list[tuple[int, Band]]:
    return [(i, b) for i, b in enumerate(bands) if b.top < row + height and b.bottom > row]
