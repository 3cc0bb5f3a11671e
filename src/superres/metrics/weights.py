"""Where the measuring networks' weights come from, and `weights.json`, which lets DVC see them.

They are no part of the project. Inception's are 95 MB that an environment variable points to, that
lie in the cache folder, or that are downloaded into it; LPIPS's are two files in a folder that an
environment variable points to, or there is no LPIPS; DISTS's likewise. DVC cannot see any of these
places, so stages depend on `weights.json`, which git keeps; `python -m superres.metrics.weights`
(`make weights`) writes the weights' checksums there, and the next `dvc repro` redoes what is
measured with them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from superres.core.errors import SuperresError
from superres.core.hashing import sha256_of
from superres.core.storage import write_json
from superres.metrics.dists import load_dists
from superres.metrics.download import DownloadError, download
from superres.metrics.inception import load_inception
from superres.metrics.lpips import load_lpips

PATH_VARIABLE = "SUPERRES_INCEPTION"
CACHE_VARIABLE = "SUPERRES_CACHE"
OFFLINE_VARIABLE = "SUPERRES_OFFLINE"

DIGITS = "6726825d"
FILE = f"pt_inception-2015-12-05-{DIGITS}.pth"
"""The published weights; the digits begin their SHA-256."""
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}"

LPIPS_VARIABLE = "SUPERRES_LPIPS"
ALEXNET, LINEAR = "alexnet-owt-7be5be79.pth", "alex.pth"
"""The two files of LPIPS, as torchvision and the package `lpips` publish them."""
LPIPS_DIGITS = {ALEXNET: "7be5be79", LINEAR: "df73285e"}
"""What their SHA-256 begin with; versions 0.0 and 0.1 of the second have the same name."""

DISTS_VARIABLE = "SUPERRES_DISTS"
VGG, COMPARING = "vgg16-397923af.pth", "weights.pt"
"""The two files of DISTS, as torchvision and the package `dists-pytorch` publish them."""
DISTS_DIGITS = {VGG: "397923af", COMPARING: "f5e65c96"}
"""What their SHA-256 begin with."""

RECORD = Path("weights.json")
INCEPTION, LPIPS, DISTS = "inception", "lpips", "dists"
"""The record's entries."""


class WeightsMissing(SuperresError):  # noqa: N818 - it names a state of the machine
    """The weights are not to be had here and now; the message says what was tried."""


class Weights(NamedTuple):
    """A file of weights that is there."""

    path: Path
    sha256: str

    @property
    def name(self) -> str:
        """What outputs call them: where published figures can be compared, the file's name."""
        return (
            FILE if self.sha256.startswith(DIGITS) else f"other weights, SHA-256 {self.sha256[:8]}"
        )


def find_weights(url: str = URL) -> Weights:
    """Return the weights: SUPERRES_INCEPTION's, else the cache folder's, else downloaded ones.

    Raises:
        WeightsMissing: not in the cache and not downloaded, or damaged.
        SuperresError: SUPERRES_INCEPTION names a file that is not there.
    """
    given = os.environ.get(PATH_VARIABLE)
    if given:
        path = Path(given).expanduser()
        if not path.is_file():
            raise SuperresError(f"{PATH_VARIABLE}: {given}: no such file")
        return Weights(path, sha256_of(path))
    cached = cache_folder() / FILE
    if not cached.is_file():
        if is_offline():
            raise WeightsMissing(
                f"{cached}: not there, and {OFFLINE_VARIABLE} forbids to download it"
            )
        try:
            download(url, cached, DIGITS)
        except DownloadError as error:
            raise WeightsMissing(str(error)) from error
    found = sha256_of(cached)
    if not found.startswith(DIGITS):
        raise WeightsMissing(
            f"{cached}: damaged: its SHA-256 begins with {found[:8]}, not {DIGITS}; delete it"
        )
    return Weights(cached, found)


class GivenWeights(NamedTuple):
    """Files of a folder, found to be the published ones."""

    paths: tuple[Path, ...]
    sha256: str
    """Of the files, with a space between."""


def find_lpips() -> GivenWeights | None:
    """Return LPIPS's weights in the folder that SUPERRES_LPIPS names, or None where it is not set.

    They are AlexNet and the linear layers.

    Raises:
        SuperresError: no such folder, a file that is not in it, or one of other contents.
    """
    return _given(LPIPS_VARIABLE, LPIPS_DIGITS, "LPIPS version 0.1")


def find_dists() -> GivenWeights | None:
    """Return the weights of DISTS in SUPERRES_DISTS: VGG-16, then its own; as `find_lpips` does."""
    return _given(DISTS_VARIABLE, DISTS_DIGITS, "DISTS")


def _given(variable: str, digits: Mapping[str, str], whose: str) -> GivenWeights | None:
    given = os.environ.get(variable)
    if not given:
        return None
    folder = Path(given).expanduser()
    wanted = f"wanted is a folder with {' and '.join(digits)}"
    if not folder.is_dir():
        raise SuperresError(f"{variable}: {given}: no such folder; {wanted}")
    sums = []
    for name, beginning in digits.items():
        path = folder / name
        if not path.is_file():
            raise SuperresError(f"{variable}: {path}: not there; {wanted}")
        found = sha256_of(path)
        if not found.startswith(beginning):
            raise SuperresError(
                f"{variable}: {path}: damaged, or not the file of {whose}: its "
                f"SHA-256 begins with {found[: len(beginning)]}, not {beginning}"
            )
        sums.append(found)
    return GivenWeights(tuple(folder / name for name in digits), " ".join(sums))


def cache_folder() -> Path:
    """Return where downloaded files are kept: SUPERRES_CACHE, without it `~/.cache/superres`."""
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/superres").expanduser()


def is_offline() -> bool:
    """Return whether SUPERRES_OFFLINE forbids any use of the network (`1`; `0` does not)."""
    return os.environ.get(OFFLINE_VARIABLE, "0") not in ("", "0")


def by_hand() -> str:
    """Return what to do on a machine that cannot download."""
    return (
        f"get {URL} on another machine and put it to {cache_folder() / FILE}, or point "
        f"{PATH_VARIABLE} to it"
    )


def read_record(path: Path = RECORD, entry: str = INCEPTION) -> str | None:
    """Return the SHA-256 that `weights.json` names for an entry, or None where it names none.

    Raises:
        SuperresError: the file is not there or not what it should be.
    """
    return _entries(path)[entry]


def _entries(path: Path) -> dict[str, str | None]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        # Records from before LPIPS or DISTS do not have their entries.
        found = {INCEPTION: record[INCEPTION]}
        found |= {name: record.get(name) for name in (LPIPS, DISTS)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SuperresError(
            f'{path}: must hold "{INCEPTION}", "{LPIPS}" and "{DISTS}", each null or a SHA-256'
        ) from error
    for name, value in found.items():
        if value is not None and not isinstance(value, str):
            raise SuperresError(f"{path}: {name}: must be null or a SHA-256, got {value!r}")
    return found


def main() -> int:
    """Get the weights, check them, name them in `weights.json`; return the exit status.

    What is not there, or not given, leaves its entry as it is.
    """
    kinds: dict[str, Callable[[], str | None]] = {
        INCEPTION: _inception,
        LPIPS: _lpips,
        DISTS: _dists,
    }
    status = 0
    for name, get in kinds.items():
        try:
            if sha256 := get():
                known = _entries(RECORD) if RECORD.exists() else dict.fromkeys(kinds)
                write_json(RECORD, known | {name: sha256})
                print(f"{name}: in order, named in {RECORD}; `dvc repro` measures with it")
        except SuperresError as error:
            by = f"\nBy hand: {by_hand()}; then again." if isinstance(error, WeightsMissing) else ""
            print(f"weights: {error}{by}", file=sys.stderr)
            status = 1
    return status


def _inception() -> str:
    weights = find_weights()
    load_inception(weights.path)
    return weights.sha256


def _lpips() -> str | None:
    weights = find_lpips()
    if weights is None:
        return None
    load_lpips(*weights.paths)
    return weights.sha256


def _dists() -> str | None:
    weights = find_dists()
    if weights is None:
        return None
    load_dists(*weights.paths)
    return weights.sha256


if __name__ == "__main__":
    raise SystemExit(main())
