"""Test tiles in every version, pictures of many of them, and what the page's viewer reads."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from PIL import Image

from superres.core.errors import SuperresError
from superres.core.picture_grid import draw_grid, grid_figure, read_grid
from superres.metrics.aggregation import GAIN, with_gain
from superres.metrics.baselines import upsample
from superres.reporting.config import ReportParams
from superres.reporting.formatting import signed
from superres.reporting.rendering import png_uri, webp_uri
from superres.reporting.run import Run
from superres.reporting.style import render_svg, styled
from superres.reporting.summary import labels

SHOWN = ("estimate", "mean", "model")
"""Restorations shown between bicubic and the original, from the smoothest to the most detailed."""
STATIC = 12
"""Tiles shown in every version at once where the page is printed or scripts are off."""
PROBED = 5
_NO_GAIN = 9999.0
"""Stands for an infinite gain in dB, which JSON does not know: one of the two tiles was exact."""


@dataclass(frozen=True)
class Picture:
    """One image of the page."""

    uri: str
    width: int
    height: int
    label: str
    detail: str = ""
    """What stands beside the label, for example a PSNR."""
    key: str = ""
    """`input`, `original` or the contender."""


@dataclass(frozen=True)
class TileCard:
    """One test tile in every version."""

    source: str
    x: int
    y: int
    sharpness: float
    pictures: list[Picture]
    gains: list[tuple[str, float]]
    """Restorations by their names on the page, each with its PSNR gain over bicubic in dB."""
    entropies: list[tuple[str, str]]


def overview(run: Run) -> bytes:
    """Return a PNG of six test tiles in every version, for READMEs and `dvc plots`.

    They are spread over the photographs and over the sharper half of the tiles of each, a choice
    that knows nothing of the results.
    """
    rows = [list(_versions(run, _test_row(run, pair)).values()) for pair in _evenly_sharp(run, 6)]
    rows[:] = [[_enlarged(picture, row[-1].shape) for picture in row] for row in rows]
    names = _names(run)
    shown = ["input", "bicubic", *(names[name] for name in _contenders(run)), "original"]
    return draw_grid(rows, [""] * len(rows), shown)


def tile_card(run: Run, pair: str) -> TileCard:
    """Return one pair with its input, bicubic, every restoration and the original."""
    row = _test_row(run, pair)
    names, contenders = _names(run), _contenders(run)
    figures = run.per_tile[run.per_tile["id"] == pair]
    psnr = dict(zip(figures["contender"], figures["psnr"].astype(float), strict=True))
    missing = [name for name in ("bicubic", *contenders) if name not in psnr]
    if missing:
        raise SuperresError(f"reports/per_tile.csv: lacks {missing[0]} of the pair {pair}")
    pixels = _versions(run, row)
    height, width = pixels["original"].shape[:2]
    low = pixels["input"]
    texts = {
        "input": ("LR input", f"{low.shape[1]} × {low.shape[0]} px"),
        "original": ("original", ""),
    }
    texts |= {name: (names[name], _decibels(psnr[name])) for name in ("bicubic", *contenders)}
    return TileCard(
        source=str(row["source"]),
        x=int(row["x"]),
        y=int(row["y"]),
        sharpness=float(row["sharpness"]),
        pictures=[
            Picture(webp_uri(picture), width, height, *texts[key], key)
            for key, picture in pixels.items()
        ],
        gains=[(names[name], psnr[name] - psnr["bicubic"]) for name in contenders],
        entropies=[(name, f"{float(row[f'entropy_{name}']):.2f}") for name in run.entropies],
    )


@dataclass(frozen=True)
class Explored:
    """A picture of `explore` with its caption: a drawn grid of pictures, or a picture as it is."""

    caption: str
    svg: Markup | None
    picture: Picture


def explored(run: Run) -> list[Explored]:
    """Return the pictures of `explore` with their captions."""
    found = []
    for number, (name, caption) in enumerate(run.explored.items()):
        content, (width, height) = _read_png(run.explore_folder / name)
        try:
            grid = read_grid(content)
        except ValueError as error:
            raise SuperresError(f"{run.explore_folder / name}: {error}") from error
        if grid is None:
            found.append(Explored(caption, None, Picture(png_uri(content), width, height, "")))
            continue
        label = f"{len(grid[1].rows)} × {len(grid[1].columns)} pictures"
        with styled():
            svg = Markup(render_svg(grid_figure(*grid), f"explored{number}", label))
        found.append(Explored(caption, svg, Picture("", width, height, "")))
    return found


def _evenly_sharp(run: Run, count: int) -> list[str]:
    order = run.test.sort_values(["sharpness", "id"], ascending=[False, True])
    order = order[
        order["sharpness"].groupby(order["source"]).transform("median") <= order["sharpness"]
    ]
    photographs = sorted(order["source"].unique())[:count]
    chosen: list[str] = []
    for number, source in enumerate(photographs):
        ids = order["id"][order["source"] == source]
        share = count // len(photographs) + (number < count % len(photographs))
        places = np.linspace(0, len(ids) - 1, min(share + 1, len(ids))).round().astype(int)
        chosen += list(ids.iloc[np.unique(places)[:share]])
    return chosen


def _test_row(run: Run, pair: str) -> pd.Series:
    found = run.test[run.test["id"] == pair]
    if found.empty:
        raise SuperresError(f"data/pairs/manifest.csv: has no test pair {pair}")
    return found.iloc[0]


def _contenders(run: Run) -> list[str]:
    return [name for name in SHOWN if name in run.metrics]


def _names(run: Run) -> dict[str, str]:
    # Short, so that name and figure share a line under a small picture.
    return {key: name.removesuffix(" samples") for key, name in labels(run.sampling).items()}


def _versions(run: Run, row: pd.Series) -> dict[str, np.ndarray]:
    """Return a test pair's pixels: input, bicubic, every restoration and the original."""
    original = run.originals[row["tile_shard"], int(row["tile_index"])]
    low = run.inputs[row["shard"], int(row["index"])]
    restored = {name: _restored(run, row["id"], name) for name in _contenders(run)}
    bicubic = upsample(low, original.shape[:2], "bicubic")
    return {"input": low, "bicubic": bicubic, **restored, "original": original}


def _enlarged(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a picture with its pixels repeated up to a shape."""
    rows, columns = shape[0] // picture.shape[0], shape[1] // picture.shape[1]
    return picture.repeat(rows, axis=0).repeat(columns, axis=1)


def _decibels(psnr: float) -> str:
    return f"{psnr:.2f} dB" if math.isfinite(psnr) else "exact"


def _restored(run: Run, pair: str, contender: str) -> Any:
    rows = run.samples[(run.samples["id"] == pair) & (run.samples["contender"] == contender)]
    if rows.empty:
        raise SuperresError(
            f"data/samples/manifest.csv: has no tile of pair {pair} by '{contender}'"
        )
    return run.restored[rows["shard"].iloc[0], int(rows["index"].iloc[0])]


def _read_png(path: Path) -> tuple[bytes, tuple[int, int]]:
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            return content, image.size
    except (OSError, ValueError) as error:
        raise SuperresError(f"{path}: not a PNG picture: {error}") from error


def shown_tiles(run: Run, params: ReportParams) -> list[TileCard]:
    """Return test tiles spread evenly from the estimate's largest gain to its smallest.

    They are `params.tiles`, or as many as fit into `params.max_megabytes`.

    Raises:
        SuperresError: a tile of `per_tile.csv` is not among the pairs or the samples.
    """
    gains = with_gain(run.per_tile)
    gains = gains[gains["contender"] == "estimate"].sort_values(
        [GAIN, "id"], ascending=[False, True], na_position="last"
    )
    ids = list(gains["id"])
    made: dict[str, TileCard] = {}

    def cards(count: int) -> list[TileCard]:
        wanted = [ids[place] for place in evenly(len(ids), count)]
        made.update({pair: tile_card(run, pair) for pair in wanted if pair not in made})
        return [made[pair] for pair in wanted]

    count, limit = min(params.tiles, len(ids)), params.max_megabytes * 10**6
    # A few tiles tell how many might fit, so that not all of a large test set are encoded.
    probe = [_size(card) for card in cards(min(PROBED, count))]
    count = max(1, min(count, int(1.1 * limit * len(probe) / sum(probe))))
    while count > 1 and sum(map(_size, cards(count))) > limit:
        count = max(1, min(count - 1, int(0.97 * count)))
    return cards(count)


def evenly(length: int, count: int) -> list[int]:
    """Return `count` places among `length`, or all of them, evenly from the first to the last."""
    places = np.linspace(0, length - 1, min(count, length)).round().astype(int)
    return [int(place) for place in np.unique(places)]


def viewer_data(cards: list[TileCard]) -> dict[str, Any]:
    """Return what the viewer's script reads, as plain values.

    The first `STATIC` tiles of an even spread stand in the page as cards already, and their
    pictures are read from there.
    """
    static = evenly(len(cards), STATIC)
    names = [label for label, _ in cards[0].gains]
    versions = [(picture.key, picture.label) for picture in cards[0].pictures]
    return {
        "versions": [{"key": key, "label": label} for key, label in versions],
        "contenders": names,
        "size": [cards[0].pictures[0].width, cards[0].pictures[0].height],
        "tiles": [
            _viewer_tile(card, static.index(place) if place in static else None)
            for place, card in enumerate(cards)
        ],
    }


def _viewer_tile(card: TileCard, static: int | None) -> dict[str, Any]:
    pictures = {} if static is not None else {p.key: p.uri for p in card.pictures}
    return {
        "source": card.source,
        "x": card.x,
        "y": card.y,
        "sharpness": card.sharpness,
        "entropies": [f"{name} {value}" for name, value in card.entropies],
        "gains": [{"value": _finite(gain), "text": signed(gain)} for _, gain in card.gains],
        "details": {p.key: p.detail for p in card.pictures},
        "card": static,
        "pictures": pictures,
    }


def _finite(gain: float) -> float | None:
    """Return a gain as a number that JSON has; None where both are exact."""
    return None if math.isnan(gain) else round(max(-_NO_GAIN, min(_NO_GAIN, gain)), 4)


def _size(card: TileCard) -> int:
    return sum(len(picture.uri) for picture in card.pictures)
