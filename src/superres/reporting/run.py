"""Reads what a finished run left behind, so that the page is made of typed, checked inputs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from superres.core.errors import SuperresError
from superres.core.storage import Shards, read_manifest, rows_of_split

NEEDED = ("model", "estimate", "bicubic")
"""Contenders that every run has; the page compares them."""


@dataclass(frozen=True)
class Run:
    """Everything the report shows."""

    metrics: dict[str, dict[str, float | None]]
    """Figures by contender, the contents of `metrics.json` but for `tiles` and `intervals`."""
    tiles: int
    intervals: dict[str, dict[str, list[float]]]
    """95 % intervals by contender and figure."""
    measured: dict[str, Any]
    """How the figures were computed."""
    notes: list[dict[str, Any]]
    per_tile: pd.DataFrame
    swd: pd.DataFrame
    """Sliced Wasserstein distance by contender and pyramid level."""
    photographs: pd.DataFrame
    train: pd.DataFrame
    selection: pd.DataFrame
    steps: pd.DataFrame
    """Quality by sampler and number of steps, from `explore`."""
    sizes: pd.DataFrame
    """Quality by size of the windows that a picture is restored in, from `explore`."""
    explored: dict[str, str]
    """File name of a picture of `explore` to its caption."""
    explore_notes: list[str]
    """What `explore` left out."""
    explore_folder: Path
    sampling: dict[str, Any]
    test: pd.DataFrame
    """Test rows of the pairs' manifest."""
    samples: pd.DataFrame
    originals: Shards
    inputs: Shards
    restored: Shards

    @property
    def entropies(self) -> list[str]:
        """Names of the corruptions, in the manifest's order."""
        names = [name for name in self.per_tile.columns if name.startswith("entropy_")]
        return [name.removeprefix("entropy_") for name in names]


def read_run(data: Path = Path("data"), reports: Path = Path("reports")) -> Run:
    """Return a run's outputs.

    Raises:
        SuperresError: a file is missing or not what it should be; the message names it.
    """
    metrics = _read_json(reports / "metrics.json", dict)
    tiles, intervals = metrics.pop("tiles", None), metrics.pop("intervals", None)
    missing = [name for name in NEEDED if not isinstance(metrics.get(name), dict)]
    missing += [] if isinstance(tiles, int) else ["tiles"]
    missing += [] if isinstance(intervals, dict) else ["intervals"]
    if missing:
        raise SuperresError(
            f"{reports / 'metrics.json'}: lacks {', '.join(missing)}; run the stage evaluate"
        )
    pairs = data / "pairs"
    place = ("id", "split", "shard", "index")
    original = ("tile_shard", "tile_index", "source", "x", "y", "sharpness")
    explore = reports / "explore"
    explored, explore_notes = _explored(explore)
    return Run(
        metrics=metrics,
        tiles=tiles,
        intervals=intervals,
        measured=_read_json(reports / "measured.json", dict),
        notes=_read_json(reports / "notes.json", list),
        per_tile=_read_table(reports / "per_tile.csv", ("id", "source", "contender", "psnr")),
        swd=_read_table(reports / "swd.csv", ("contender", "level_px", "swd")),
        photographs=_read_table(
            reports / "photographs.csv",
            ("source", "status", "reason", "split", "tiles", "dropped", "thinned"),
        ),
        train=_read_table(reports / "train.csv", ("step",)),
        selection=_read_table(
            reports / "selection.csv",
            ("step", "ema", "appearance", "psnr_estimate", "psnr_sample", "swd", "tie", "chosen"),
        ),
        steps=_read_table(
            explore / "steps.csv", ("sampler", "spacing", "evaluations", "psnr", "swd")
        ),
        sizes=_read_table(
            explore / "sizes.csv", ("edge_px", "gain", "gain_estimate", "swd", "swd_estimate")
        ),
        explored=explored,
        explore_notes=explore_notes,
        explore_folder=explore,
        sampling=_read_json(data / "samples" / "sampling.json", dict),
        test=rows_of_split(read_manifest(pairs, place + original), "test", pairs),
        samples=read_manifest(data / "samples", ("id", "contender", "shard", "index")),
        originals=Shards(data / "tiles"),
        inputs=Shards(pairs),
        restored=Shards(data / "samples"),
    )


def _read_json(path: Path, kind: type) -> Any:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SuperresError(f"{path}: cannot be read: {error}") from error
    if not isinstance(value, kind):
        raise SuperresError(f"{path}: must hold a {kind.__name__}, got {type(value).__name__}")
    return value


def _read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    names = dict.fromkeys(("id", "source", "status", "reason", "split", "ema"), str)
    try:
        # A photograph may be called "NA": only an empty cell is a missing number.
        frame = pd.read_csv(path, dtype=names, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise SuperresError(f"{path}: cannot be read: {error}") from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise SuperresError(f"{path}: lacks the columns {', '.join(missing)}")
    if frame.empty:
        raise SuperresError(f"{path}: has no rows")
    texts = [name for name in names if name in frame.columns]
    frame[texts] = frame[texts].fillna("")
    return frame


def _explored(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return captions by picture, and notes."""
    path = folder / "explore.json"
    content = _read_json(path, dict)
    captions, notes = content.get("pictures"), content.get("notes")
    if not isinstance(captions, dict) or not isinstance(notes, list):
        raise SuperresError(f"{path}: lacks 'pictures' or 'notes'; run the stage explore")
    for name in captions:
        if Path(name).name != name or not (folder / name).is_file():
            raise SuperresError(f"{path}: names {name!r}, which is not there")
    pictures = {name: str(caption) for name, caption in captions.items()}
    return pictures, [str(note) for note in notes]
