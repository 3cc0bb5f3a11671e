"""Measuring any two folders of pictures, from whatever program, as the pipeline measures its own.

Pictures belong together by the stem of their file's name (`a.png` restored of `a.jpg`). A picture
without a counterpart or of another size is a mismatch; with any, nothing is measured.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from superres.core.device import pick_device
from superres.core.errors import SuperresError
from superres.core.images import SUFFIXES, read_image
from superres.core.progress import counting, progress_bar
from superres.evaluation.measure import Instruments, PictureSet, measure_contender, spread
from superres.evaluation.measuring_networks import absence_notes, feature_notes, open_lpips
from superres.evaluation.outputs import how_compared
from superres.metrics.aggregation import summarize
from superres.metrics.catalog import FeatureSettings
from superres.metrics.config import BootstrapParams, KidParams, SwdParams
from superres.metrics.features import LAYER
from superres.metrics.fidelity import SSIM_WINDOW
from superres.metrics.inception import PREPROCESSING, Inception, load_inception
from superres.metrics.intervals import bootstrap_intervals
from superres.metrics.swd import SMALLEST_LEVEL
from superres.metrics.weights import Weights, WeightsMissing, by_hand, find_weights

RESTORED = "restored"
"""What the folder is called among the contenders: it is the only one."""

SWD = SwdParams(patches_per_tile=128, max_patches=65536, projections=512, seed=0)
SETTINGS = FeatureSettings(KidParams(subsets=100, subset_size=1000, seed=2020), neighbours=3)
BOOTSTRAP = BootstrapParams(resamples=1000, seed=0)


class Mismatch(SuperresError):  # noqa: N818 - it names the folders' state
    """The folders do not belong together; the message lists each file that is wrong."""


class Pair(NamedTuple):
    """A restored picture and its original."""

    name: str
    restored: Path
    original: Path
    size: tuple[int, int]
    """Height and width of both, in pixels."""


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
    check = partial(_check, border_crop=border_crop)
    paths = [(name, first[name], second[name]) for name in names]
    with progress_bar(len(names), "check", "picture") as bar:
        checked = list(counting(spread(check, paths), bar))
    pairs = [one for one in checked if isinstance(one, Pair)]
    faults += [one for one in checked if isinstance(one, str)]
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
    sizes = {pair.size for pair in pairs}
    names = [pair.name for pair in pairs]
    lpips, lpips_notes = open_lpips([RESTORED], min(map(min, sizes)))
    opened, reason = _open_inception(pairs)
    no_swd = _why_no_swd(sizes)
    instruments = Instruments(
        border_crop, SETTINGS, SWD if no_swd is None else None, lpips=lpips, inception=opened
    )
    pictures = PictureSet(names, lambda number: read_image(pairs[number].original))
    with progress_bar(instruments.passes * len(pairs), "measure", "picture") as bar:
        found = measure_contender(
            lambda number: read_image(pairs[number].restored), pictures, instruments, bar
        )
    per_image = pd.DataFrame(
        [{"name": name, **row} for name, row in zip(names, found.rows, strict=True)]
    )
    table = per_image.rename(columns={"name": "id"}).assign(contender=RESTORED)
    table["source"] = table["id"]
    swd = pd.DataFrame({"contender": RESTORED, "swd": found.swd})
    metrics, mean_notes = summarize(table, swd, {RESTORED: found.sets})
    if opened is not None and found.originals is not None:
        weights = opened[1]
        notes = feature_notes([RESTORED], found.originals, SETTINGS, weights.name)
        inception = {"weights": weights.name, "sha256": weights.sha256}
        inception |= {"layer": LAYER, "preprocessing": PREPROCESSING}
    else:
        notes, inception = absence_notes([RESTORED], reason), {}
    notes += lpips_notes
    if no_swd is not None:
        text = f"SWD is not computed: {no_swd}."
        notes.append({"metric": "swd", "contenders": [RESTORED], "text": text})
    summary = {
        "figures": metrics[RESTORED],
        "images": len(pairs),
        "intervals": bootstrap_intervals(table, BOOTSTRAP)[RESTORED],
        "measured": {
            "border_crop_px": border_crop,
            **how_compared(per_image.columns),
            "swd": SWD.model_dump(),
            "inception": inception,
            "kid": SETTINGS.kid.model_dump(),
            "precision_recall": {"neighbours": SETTINGS.neighbours},
            "intervals": {"share": 0.95, "drawn": "pictures"} | BOOTSTRAP.model_dump(),
        },
        "notes": [*notes, *mean_notes],
    }
    return Measured(summary, per_image)


def _open_inception(pairs: list[Pair]) -> tuple[tuple[Inception, Weights] | None, str]:
    """Return the network and its weights, or None and why not."""
    if len(pairs) < 2:
        return None, "one picture has no distribution."
    try:
        weights = find_weights()
    except WeightsMissing as error:
        return None, f"{error}. By hand: {by_hand()}."
    return (load_inception(weights.path).to(pick_device()), weights), ""


def _why_no_swd(sizes: set[tuple[int, int]]) -> str | None:
    """Return why the pictures have no pyramid levels in common, or None where they have."""
    if len(sizes) > 1:
        return "the pictures differ in size"
    if min(next(iter(sizes))) < SMALLEST_LEVEL:
        return f"the pictures are smaller than {SMALLEST_LEVEL} pixels"
    return None


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


def _check(paths: tuple[str, Path, Path], border_crop: int) -> Pair | str:
    """Return a pair, or what keeps it from being measured."""
    name, restored, original = paths
    try:
        (height, width), (rows, columns) = (
            read_image(path).shape[:2] for path in (restored, original)
        )
    except SuperresError as error:
        return str(error)
    if (height, width) != (rows, columns):
        return f"{restored}: {width} x {height} pixels, its original is {columns} x {rows}"
    if min(height, width) - 2 * border_crop < SSIM_WINDOW:
        return (
            f"{restored}: {width} x {height} pixels; SSIM needs {SSIM_WINDOW} x {SSIM_WINDOW} "
            f"within a border of {border_crop}"
        )
    return Pair(name, restored, original, (height, width))
