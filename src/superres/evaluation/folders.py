"""Measuring any two folders of pictures, from whatever program, as the pipeline measures its own.

Pictures belong together by the stem of their file's name (`a.png` restored of `a.jpg`), by one rule
that pairs all (`a_out.png` of `a.jpg`), or by a given one. A picture without a counterpart or of
another size is a mismatch; with any, nothing is measured.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from superres.core.device import pick_device
from superres.core.distributed import Processes
from superres.core.errors import SuperresError
from superres.core.images import SUFFIXES, read_image
from superres.core.progress import counting, progress_bar
from superres.evaluation.measure import Instruments, PictureSet, measure_contender, spread
from superres.evaluation.measuring_networks import absence_notes, feature_notes, open_pair_networks
from superres.evaluation.outputs import how_compared
from superres.evaluation.pairing import SAME, Pattern, Rule, inferred, selecting
from superres.metrics.aggregation import summarize
from superres.metrics.catalog import FeatureSettings
from superres.metrics.config import BootstrapParams, KidParams, SwdParams
from superres.metrics.features import LAYER
from superres.metrics.fidelity import SSIM_WINDOW
from superres.metrics.inception import PREPROCESSING, Inception, load_inception
from superres.metrics.intervals import bootstrap_intervals
from superres.metrics.swd import SMALLEST_LEVEL
from superres.metrics.weights import Weights, WeightsMissing, by_hand, find_weights

FACTORS = (2, 3, 4, 8)
"""Scales that a difference in size may come from."""

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
    """Height and width that are measured of both, in pixels; what lies beyond is left out."""

    def read(self, path: Path) -> np.ndarray:
        """Return the pixels of one of the two that are measured: uint8, H x W x 3."""
        height, width = self.size
        return np.ascontiguousarray(read_image(path)[:height, :width])


class Measured(NamedTuple):
    """What was measured of two folders."""

    summary: dict[str, Any]
    """`figures`, `images`, `intervals`, `measured` (how) and `notes`."""
    per_image: pd.DataFrame
    """A row per picture: `name` and its figures."""


def rule_between(restored: Path, original: Path) -> Rule:
    """Return the rule by which the pictures of two folders are called: alike, or what pairs all.

    Raises:
        Mismatch: no folder, one without pictures, or with two of one name.
    """
    return inferred(_by_stem(restored), _by_stem(original)) or SAME


def subfolders(restored: Path, original: Path) -> list[str]:
    """Return the names of subfolders that both have, where neither holds pictures itself.

    Raises:
        Mismatch: a subfolder that one alone has.
    """
    names: list[set[str]] = []
    for folder in (restored, original):
        if not folder.is_dir():
            raise Mismatch(f"{folder}: not a folder")
        inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
        if any(path.is_file() and path.suffix.lower() in SUFFIXES for path in inside):
            return []
        names.append({path.name for path in inside if path.is_dir()})
    if odd := sorted(names[0] ^ names[1]):
        raise Mismatch(f"{restored}, {original}: only one of them has {', '.join(odd)}")
    return sorted(names[0])


def left_over(folder: Path, pattern: Pattern) -> int:
    """Return how many pictures of a folder do not fit a pattern."""
    return sum(pattern.name(stem) is None for stem in _by_stem(folder))


def pair_folders(
    restored: Path, original: Path, border_crop: int, rule: Rule | None = None, modcrop: int = 1
) -> list[Pair]:
    """Return the pictures that belong together, by name.

    Args:
        restored: folder of restored pictures.
        original: folder of originals.
        border_crop: pixels that will be left out at each edge.
        rule: how they are called; pictures that do not fit it are left out. By default what
            `rule_between` finds.
        modcrop: what is beyond multiples of so many pixels is left out below and on the right.

    Raises:
        Mismatch: every picture without counterpart, of another size, that cannot be read or is too
            small; or a folder without pictures, or without any that fit the rule.
    """
    rule = rule or rule_between(restored, original)
    first, second = _fitting(restored, rule.restored), _fitting(original, rule.original)
    faults = [
        f"{path}: no picture '{wanted}' in {original}"
        for stem, path in first.items()
        if (wanted := rule.original_of(stem)) not in second
    ]
    faults += [
        f"{path}: no picture '{wanted}' in {restored}"
        for stem, path in second.items()
        if (wanted := rule.restored_of(stem)) not in first
    ]
    paths = [
        (str(name), path, second[str(name)])
        for stem, path in first.items()
        if (name := rule.original_of(stem)) in second
    ]
    check = partial(_check, border_crop=border_crop, modcrop=modcrop)
    with progress_bar(len(paths), "check", "picture") as bar:
        checked = list(counting(spread(check, sorted(paths)), bar))
    pairs = [one for one in checked if isinstance(one, Pair)]
    faults += [one for one in checked if isinstance(one, str)]
    if faults:
        message = f"mismatches: {len(faults)}; nothing was measured"
        hint = selecting(first, second) if rule == SAME else None
        if hint not in (None, SAME):
            message += f"; each original has a picture by --pattern '{hint.restored}'"
            if hint.original != Pattern():
                message += f" --original-pattern '{hint.original}'"
        raise Mismatch("\n".join([*faults, message]))
    return pairs


def measure_folders(pairs: list[Pair], border_crop: int, matlab: bool = False) -> Measured:
    """Measure restored pictures against their originals; memory does not grow with their number.

    Args:
        pairs: from `pair_folders`, one or more.
        border_crop: pixels left out at each edge for PSNR and SSIM.
        matlab: whether luma is rounded to 8 bits, as MATLAB does and tables in papers have it.

    Raises:
        SuperresError: weights that are given by a path which is wrong.
    """
    sizes = {pair.size for pair in pairs}
    names = [pair.name for pair in pairs]
    alone = Processes(0, 1, pick_device())
    networks, absent = open_pair_networks([RESTORED], min(map(min, sizes)), alone)
    opened, reason = _open_inception(pairs)
    no_swd = _why_no_swd(sizes)
    instruments = Instruments(
        border_crop,
        SETTINGS,
        SWD if no_swd is None else None,
        networks=networks,
        inception=opened,
        matlab=matlab,
    )
    pictures = PictureSet(names, lambda number: pairs[number].read(pairs[number].original))
    with progress_bar(instruments.passes * len(pairs), "measure", "picture") as bar:
        found = measure_contender(
            lambda number: pairs[number].read(pairs[number].restored),
            pictures,
            instruments,
            alone,
            bar,
        )
    assert found is not None  # this process is the first
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
    notes += absent
    if no_swd is not None:
        text = f"SWD is not computed: {no_swd}."
        notes.append({"metric": "swd", "contenders": [RESTORED], "text": text})
    summary = {
        "figures": metrics[RESTORED],
        "images": len(pairs),
        "intervals": bootstrap_intervals(table, BOOTSTRAP)[RESTORED],
        "measured": {
            "border_crop_px": border_crop,
            **how_compared(per_image.columns, matlab),
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


def _fitting(folder: Path, pattern: Pattern) -> dict[str, Path]:
    """Return the pictures of a folder that fit a pattern, by stem, in the order of stems."""
    found = _by_stem(folder)
    fitting = {stem: found[stem] for stem in sorted(found) if pattern.name(stem) is not None}
    if not fitting:
        raise Mismatch(f"{folder}: none of {len(found)} pictures is called like '{pattern}'")
    return fitting


def _check(paths: tuple[str, Path, Path], border_crop: int, modcrop: int) -> Pair | str:
    """Return a pair, or what keeps it from being measured."""
    name, restored, original = paths
    try:
        (height, width), (rows, columns) = (
            tuple(edge // modcrop * modcrop for edge in read_image(path).shape[:2])
            for path in (restored, original)
        )
    except SuperresError as error:
        return str(error)
    if (height, width) != (rows, columns):
        message = f"{restored}: {width} x {height} pixels, its original is {columns} x {rows}"
        for factor in FACTORS:
            if (height, width) == (rows // factor * factor, columns // factor * factor):
                return f"{message}; --modcrop {factor} leaves out what is beyond multiples of it"
        return message
    if min(height, width) - 2 * border_crop < SSIM_WINDOW:
        return (
            f"{restored}: {width} x {height} pixels; SSIM needs {SSIM_WINDOW} x {SSIM_WINDOW} "
            f"within a border of {border_crop}"
        )
    return Pair(name, restored, original, (height, width))
