"""The sets that papers measure on: where they are looked for, and which picture belongs to which.

A set is a folder of originals, or one that holds originals and inputs in one of the layouts that
the sets are handed around in:

- `HR` (or `original`, `GTmod12`) and, beside it, inputs in `LR_bicubic/X2` or `LRbicx2`;
- `image_SRF_2`, with `NAME_SRF_2_HR.png` and `NAME_SRF_2_LR.png`;
- `DIV2K_valid_HR` and `DIV2K_valid_LR_bicubic/X2`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from superres.core.errors import SuperresError
from superres.core.images import SUFFIXES
from superres.core.params import closest

VARIABLE = "SUPERRES_BENCHMARKS"
"""Names the folder whose subfolders are the sets."""


class Known(NamedTuple):
    """A set that can be asked for by name."""

    folders: tuple[str, ...]
    """What its folder may be called, in lower case."""
    pictures: int
    where: str
    """Whose it is, where to get it, and what it may be used for."""


TOGETHER = "in EDSR's benchmark.tar (https://cv.snu.ac.kr/research/EDSR/benchmark.tar)"
KNOWN: dict[str, Known] = {
    "Set5": Known(
        ("set5",), 5, f"Bevilacqua et al. 2012; {TOGETHER}; its authors state no licence"
    ),
    "Set14": Known(("set14",), 14, f"Zeyde et al. 2010; {TOGETHER}; its authors state no licence"),
    "B100": Known(
        ("b100", "bsd100", "bsds100"),
        100,
        f"the test photographs of BSDS300, Martin et al. 2001; {TOGETHER}; for research and "
        "education, not for commerce",
    ),
    "Urban100": Known(
        ("urban100",), 100, f"Huang et al. 2015; {TOGETHER}; of Flickr, under Creative Commons"
    ),
    "Manga109": Known(
        ("manga109",),
        109,
        "Matsui et al. 2017; on request from http://www.manga109.org, under its own terms",
    ),
    "DIV2K": Known(
        ("div2k", "div2k_valid", "div2k_valid_hr"),
        100,
        "the validation photographs 0801 to 0900, Agustsson and Timofte 2017; "
        "https://data.vision.ee.ethz.ch/cvl/DIV2K/; for academic research",
    ),
}
ORIGINALS = ("HR", "hr", "original", "originals", "GTmod12", "DIV2K_valid_HR")


class Subject(NamedTuple):
    """An original, and its input where the set comes with one."""

    name: str
    original: Path
    low: Path | None


class BenchmarkSet(NamedTuple):
    """A set's name, as tables have it, and its pictures in the order of their names."""

    name: str
    subjects: list[Subject]


def find_set(word: str, scale: int, inputs: str | Path | None = None) -> BenchmarkSet:
    """Return the set of a folder, or of a name of `KNOWN` below SUPERRES_BENCHMARKS.

    Args:
        word: a path, or a name in any case.
        scale: of the inputs.
        inputs: folder of the inputs, where they are not in the set's own.

    Raises:
        SuperresError: no such set, with where to get it; no pictures; two of one name; an original
            without its input where others have one.
    """
    folder, name = _folder_of(word)
    originals, lows = _layout(folder, scale)
    if inputs is not None:
        lows = _pictures(Path(inputs))
        if not lows:
            raise SuperresError(f"{inputs}: holds no pictures")
    if not originals:
        raise SuperresError(f"{folder}: holds no pictures, nor a folder {', '.join(ORIGINALS)}")
    subjects = [
        Subject(_plain(stem), path, _low_of(stem, lows, scale)) for stem, path in originals.items()
    ]
    missing = [subject for subject in subjects if subject.low is None]
    if lows and missing:
        raise SuperresError(
            f"{missing[0].original}: no input of scale {scale} for it among "
            f"{next(iter(lows.values())).parent}, as for {len(missing)} of {len(subjects)}"
        )
    return BenchmarkSet(name, subjects)


def _folder_of(word: str) -> tuple[Path, str]:
    if Path(word).is_dir():
        return Path(word), _known_name(Path(word).resolve().name) or Path(word).resolve().name
    name = _known_name(word)
    if name is None:
        raise SuperresError(
            f"{word}: neither a folder nor one of {', '.join(KNOWN)}{closest(word, list(KNOWN))}"
        )
    root = os.environ.get(VARIABLE)
    to_get = f"To get it: {KNOWN[name].where}"
    if not root:
        raise SuperresError(f"{word}: {VARIABLE}, the folder of the sets, is not set. {to_get}")
    if not Path(root).is_dir():
        raise SuperresError(f"{VARIABLE}: {root} is no folder")
    for path in sorted(Path(root).iterdir()):
        if path.is_dir() and path.name.lower() in KNOWN[name].folders:
            return path, name
    raise SuperresError(f"{root}: has no folder {name}. {to_get}")


def _known_name(word: str) -> str | None:
    names = (name for name, known in KNOWN.items() if word.lower() in known.folders)
    return next(names, None)


def _layout(folder: Path, scale: int) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return originals and inputs by stem; no inputs where the folder has none of that scale."""
    beside = folder / f"image_SRF_{scale}"
    both = _pictures(beside if beside.is_dir() else folder)
    highs = {stem: path for stem, path in both.items() if stem.endswith("_HR")}
    if highs:
        return highs, {stem: path for stem, path in both.items() if stem.endswith("_LR")}
    if both:
        return both, _lows(folder.parent if folder.name in ORIGINALS else folder, scale)
    for name in ORIGINALS:
        if (folder / name).is_dir():
            return _pictures(folder / name), _lows(folder, scale)
    return {}, {}


def _lows(folder: Path, scale: int) -> dict[str, Path]:
    places = (f"LR_bicubic/X{scale}", f"LRbicx{scale}", f"DIV2K_valid_LR_bicubic/X{scale}")
    for place in places:
        if found := _pictures(folder / place):
            return found
    return {}


def _pictures(folder: Path) -> dict[str, Path]:
    """Return a folder's pictures by stem, nothing for what is no folder."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if path.stem in found:
            raise SuperresError(f"{path}: {found[path.stem].name} has the same name")
        found[path.stem] = path
    return found


def _low_of(stem: str, lows: dict[str, Path], scale: int) -> Path | None:
    plain = _plain(stem)
    names = (stem, f"{plain}x{scale}", f"{plain}_SRF_{scale}_LR", plain)
    return next((lows[name] for name in names if name in lows), None)


def _plain(stem: str) -> str:
    return re.sub(r"(_SRF_\d+)?_HR$", "", stem)
