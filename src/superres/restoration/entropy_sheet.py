"""A sheet of one part of a picture, restored as if corrupted by each of several entropies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from superres.core.errors import SuperresError
from superres.core.picture_grid import lay_out
from superres.core.progress import progress_bar
from superres.restoration.picture import Picture
from superres.restoration.restorer import Restorer
from superres.sampling.batch import Sampling

ENTROPIES = (0.0, 0.25, 0.5, 0.75, 1.0)
PART = 64
"""Edge of the part that is shown, in pixels of the input."""

DELAY = 2.0
"""Seconds after which a picture gets a progress bar, so that small ones leave a log alone."""

GAP, MARGIN, TEXT = 4, 64, 12


def entropy_sheet(
    restorer: Restorer,
    picture: Picture,
    entropies: Mapping[str, float],
    how: Sampling | None,
    seed: int,
    label: str = "sheet",
) -> Picture:
    """Return the picture's part with most detail, restored with a grid of entropies.

    Rows condition the model on its first corruption, columns on the second; others are as given.
    The noise is the same everywhere.

    Args:
        restorer: the model.
        picture: the input.
        entropies: those of the corruptions beyond the second.
        how: how to sample; None for the estimate.
        seed: of the noise.
        label: of the progress bar.

    Raises:
        SuperresError: a model without corruptions.
    """
    names = restorer.corruptions
    if not names:
        raise SuperresError("the model knows no corruptions, so there are no entropies to choose")
    part = most_detailed(picture, PART)
    grid = grid_of(names, entropies)
    rows = []
    total = restorer.windows(part, how) * sum(map(len, grid))
    with progress_bar(total, label, "window", leave=False, delay=DELAY) as bar:
        for row in grid:
            restored = [restorer.run(part, there, how, seed, watch=bar.update) for there in row]
            rows.append([_shown(one) for one in restored])
    columns = [f"{names[1]} {value:g}" for value in ENTROPIES] if len(names) > 1 else [""]
    return Picture(_sheet(rows, [f"{names[0]} {value:g}" for value in ENTROPIES], columns))


def grid_of(names: Sequence[str], entropies: Mapping[str, float]) -> list[list[dict[str, float]]]:
    """Return the entropies of a sheet: the first corruption's by rows, the second's by columns.

    Args:
        names: a model's corruptions, at least one.
        entropies: those of the corruptions beyond the second.
    """
    across = ENTROPIES if len(names) > 1 else ENTROPIES[:1]
    rows = []
    for down in ENTROPIES:
        there = [dict(zip(names[:2], (down, value), strict=False)) for value in across]
        rows.append([{**entropies, **one} for one in there])
    return rows


def most_detailed(picture: Picture, edge: int) -> Picture:
    """Return the part of a picture that `place_of_most_detail` names."""
    row, column = place_of_most_detail(picture, edge)
    here = (slice(row, row + edge), slice(column, column + edge))
    return Picture(np.ascontiguousarray(picture.seen[here]))


def place_of_most_detail(picture: Picture, edge: int) -> tuple[int, int]:
    """Return row and column of the part, at most `edge` pixels high and wide, with most contrast.

    It begins on a multiple of 8 pixels, as JPEG's blocks do.
    """
    height, width = (min(edge, length) for length in picture.size)
    levels = picture.seen.astype(np.float32)
    luma = levels if levels.ndim == 2 else levels.mean(axis=2)
    slopes = sum(np.abs(np.gradient(luma, axis=axis)) for axis in (0, 1) if luma.shape[axis] > 1)
    from scipy.ndimage import uniform_filter  # noqa: PLC0415 - takes a third of a second to import

    detail = uniform_filter(np.zeros_like(luma) + slopes, (height, width), mode="constant")
    corners = detail[height // 2 :: 8, width // 2 :: 8]
    corners = corners[: (picture.size[0] - height) // 8 + 1, : (picture.size[1] - width) // 8 + 1]
    row, column = (8 * int(i) for i in np.unravel_index(int(corners.argmax()), corners.shape))
    return row, column


def _shown(picture: Picture) -> np.ndarray:
    """Return 8-bit RGB."""
    levels = picture.in_8_bits().levels
    return np.repeat(levels[:, :, np.newaxis], 3, axis=2) if picture.grey else levels


def _sheet(rows: list[list[np.ndarray]], down: list[str], across: list[str]) -> np.ndarray:
    height, width = rows[0][0].shape[:2]
    top = TEXT + 2 * GAP
    size = (MARGIN + len(across) * (width + GAP), top + len(down) * (height + GAP))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    for column, text in enumerate(across):
        draw.text((MARGIN + column * (width + GAP), GAP), text, "black", font)
    for number in range(len(rows)):
        above = top + number * (height + GAP)
        draw.text((GAP, above + height // 2), down[number], "black", font)
    # Pictures last: a label that is too long must not cover them.
    return lay_out(rows, GAP, top, MARGIN, np.array(sheet))
