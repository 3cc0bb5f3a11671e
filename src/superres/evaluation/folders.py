"""Measuring any two folders of pictures, from whatever program, as the pipeline measures its own.

Pictures belong together by the stem of their file's name (`a.png` restored of `a.jpg`). A picture
without a counterpart or of another size is a mismatch; with any, nothing is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from superres.core.device import pick_device
from superres.core.errors import SuperresError
from superres.core.images import SUFFIXES, read_image
from superres.core.progress import counting, progress_bar
from superres.evaluation.spreading import spread
from superres.evaluation.summary import summarize
from superres.evaluation.writing import how_compared
from superres.metrics.config import BootstrapParams, KidParams, SwdParams
from superres.metrics.feature_files import describe_cached
from superres.metrics.features import LAYER
from superres.metrics.fidelity import SSIM_WINDOW, compare
from superres.metrics.inception import PREPROCESSING, load_inception
from superres.metrics.intervals import bootstrap_intervals
from superres.metrics.lpips import distances
from superres.metrics.perception import (
    Perception,
    absent,
    feature_figures,
    feature_notes,
    open_lpips,
)
from superres.metrics.swd import (
    SMALLEST_LEVEL,
    descriptors,
    level_sizes,
    sliced_distances,
)
from superres.metrics.weights import WeightsMissing, by_hand, find_weights

RESTORED = "restored"
"""What the folder is called among the contenders: it is the only one."""

SWD = SwdParams(patches_per_tile=128, max_patches=65536, projections=512, seed=0)
KID = KidParams(subsets=100, subset_size=1000, seed=2020)
NEIGHBOURS = 3
BOOTSTRAP = BootstrapParams(resamples=1000, seed=0)

_FOLDERS: tuple[Literal["restored", "original"], ...] = ("restored", "original")


class Mismatch(SuperresError):  # noqa: N818 - it names the folders' state
    """The folders do not belong together; the message lists each file that is wrong."""


class Pair(NamedTuple):
    """A restored picture and its original."""

    name: str
    restored: Path
    original: Path


class Measured(NamedTuple):
    """What was measured of two folders."""

    summary: dict[str, Any]
    """`figures`, `images`, `intervals`, `measured` (how) and `notes`."""
    per_image: pd.DataFrame
    """A row per picture: `name` and its figures."""


def pair_folders(restored: Path, original: Path, border_crop: int) -> list[Pair]:
    """Return the pictures that belong together, by name.

    Raises:
        Mismatch: every picture without counterpart, of another size, that cannot be read or is too
            small; or a folder without pictures.
    """
    first, second = _by_stem(restored), _by_stem(original)
    faults = [f"{first[n]}: no picture '{n}' in {original}" for n in sorted(first.keys() - second)]
    faults += [
        f"{second[n]}: no picture '{n}' in {restored}" for n in sorted(second.keys() - first)
    ]
    names = sorted(first.keys() & second.keys())
    pairs = [Pair(name, first[name], second[name]) for name in names]
    check = partial(_fault, border_crop=border_crop)
    with progress_bar(len(pairs), "check", "picture") as bar:
        faults += [fault for fault in counting(spread(check, pairs), bar) if fault]
    if faults:
        raise Mismatch("\n".join([*faults, f"mismatches: {len(faults)}; nothing was measured"]))
    return pairs


def measure_folders(pairs: list[Pair], border_crop: int) -> Measured:
    """Measure restored pictures against their originals; memory does not grow with their number.

    Args:
        pairs: from `pair_folders`, one or more.
        border_crop: pixels left out at each edge for PSNR and SSIM.

    Raises:
        SuperresError: weights that are given by a path which is wrong.
    """
    with progress_bar(len(pairs), "measure", "picture") as bar:
        rows = list(counting(spread(partial(_compare, border_crop=border_crop), pairs), bar))
    sizes = {row.pop("size") for row in rows}
    per_image = pd.DataFrame(rows)
    lpips, lpips_notes = open_lpips([RESTORED], min(map(min, sizes)))
    if lpips is not None:
        read = zip(*(_read(pairs, which) for which in _FOLDERS), strict=True)
        with progress_bar(len(pairs), "lpips", "picture") as bar:
            per_image["lpips"] = list(counting(distances(lpips, read), bar))
    table = per_image.rename(columns={"name": "id"}).assign(contender=RESTORED)
    table["source"] = table["id"]
    swd, notes = _swd(pairs, sizes)
    perception, inception = _perception(pairs)
    metrics, found = summarize(table, swd, perception.figures)
    summary = {
        "figures": metrics[RESTORED],
        "images": len(pairs),
        "intervals": bootstrap_intervals(table, BOOTSTRAP)[RESTORED],
        "measured": {
            "border_crop_px": border_crop,
            **how_compared(per_image.columns),
            "swd": SWD.model_dump(),
            "inception": inception,
            "kid": KID.model_dump(),
            "precision_recall": {"neighbours": NEIGHBOURS},
            "intervals": {"share": 0.95, "drawn": "pictures"} | BOOTSTRAP.model_dump(),
        },
        "notes": [*perception.notes, *lpips_notes, *notes, *found],
    }
    return Measured(summary, per_image)


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise Mismatch(f"{folder}: not a folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if path.stem in found:
            raise Mismatch(f"{path}: {found[path.stem].name} has the same name")
        found[path.stem] = path
    if not found:
        raise Mismatch(f"{folder}: holds no pictures (its subfolders are not searched)")
    return found


def _fault(pair: Pair, border_crop: int) -> str | None:
    """Return what keeps a pair from being measured, or None."""
    try:
        (height, width), (rows, columns) = (
            read_image(path).shape[:2] for path in (pair.restored, pair.original)
        )
    except SuperresError as error:
        return str(error)
    if (height, width) != (rows, columns):
        return f"{pair.restored}: {width} x {height} pixels, its original is {columns} x {rows}"
    if min(height, width) - 2 * border_crop < SSIM_WINDOW:
        return (
            f"{pair.restored}: {width} x {height} pixels; SSIM needs {SSIM_WINDOW} x {SSIM_WINDOW} "
            f"within a border of {border_crop}"
        )
    return None


def _compare(pair: Pair, border_crop: int) -> dict[str, Any]:
    restored, original = read_image(pair.restored), read_image(pair.original)
    figures = compare(restored, original, border_crop)
    return {"name": pair.name, **figures, "size": restored.shape[:2]}


def _swd(
    pairs: list[Pair], sizes: set[tuple[int, int]]
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Return the distance by level, empty with a note where the pictures have no common levels."""
    reason = None
    if len(sizes) > 1:
        reason = "the pictures differ in size"
    elif min(next(iter(sizes))) < SMALLEST_LEVEL:
        reason = f"the pictures are smaller than {SMALLEST_LEVEL} pixels"
    if reason:
        text = f"SWD is not computed: {reason}."
        note = {"metric": "swd", "contenders": [RESTORED], "text": text}
        return pd.DataFrame({"contender": [], "level_px": [], "swd": []}), [note]
    names = [pair.name for pair in pairs]
    first, second = (descriptors(_read(pairs, which), names, SWD) for which in _FOLDERS)
    distances = sliced_distances(second, first, SWD)
    levels = level_sizes(min(next(iter(sizes))))
    return pd.DataFrame({"contender": RESTORED, "level_px": levels, "swd": distances}), []


def _perception(pairs: list[Pair]) -> tuple[Perception, dict[str, Any]]:
    """Return FID and its like, or notes on why not, and how they were computed."""
    if len(pairs) < 2:
        return absent([RESTORED], "one picture has no distribution."), {}
    try:
        weights = find_weights()
    except WeightsMissing as error:
        return absent([RESTORED], f"{error}. By hand: {by_hand()}."), {}
    network = load_inception(weights.path).to(pick_device())
    names = [pair.name for pair in pairs]
    with progress_bar(2 * len(pairs), "features", "picture") as bar:
        restored, original = (
            describe_cached(network, weights, partial(_read, pairs, which), names, bar)
            for which in _FOLDERS
        )
    figures = feature_figures(original, restored, KID, NEIGHBOURS)
    notes = feature_notes([RESTORED], original, KID, NEIGHBOURS, weights.name)
    how = {"weights": weights.name, "sha256": weights.sha256}
    how |= {"layer": LAYER, "preprocessing": PREPROCESSING}
    return Perception({RESTORED: figures}, notes), how


def _read(pairs: list[Pair], which: Literal["restored", "original"]) -> Iterator[np.ndarray]:
    """Yield the restored or the original pictures, each read when its turn comes."""
    return (read_image(getattr(pair, which)) for pair in pairs)
