"""Where the Inception network's weights come from, and `weights.json`, which lets DVC see them.

They are no part of the project: 95 MB that an environment variable points to, that lie in the cache
folder, or that are downloaded into it. DVC cannot see any of these places, so stages depend on
`weights.json`, a line that git keeps; `python -m superres.evaluation.weights` (`make weights`)
writes the weights' checksum there, and the next `dvc repro` redoes what is measured with them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

from superres.errors import SuperresError
from superres.evaluation.download import DownloadError, download, sha256_of
from superres.evaluation.inception import load_inception
from superres.storage import write_json

PATH_VARIABLE = "SUPERRES_INCEPTION"
CACHE_VARIABLE = "SUPERRES_CACHE"
OFFLINE_VARIABLE = "SUPERRES_OFFLINE"

DIGITS = "6726825d"
FILE = f"pt_inception-2015-12-05-{DIGITS}.pth"
"""The published weights; the digits begin their SHA-256."""
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}"

RECORD = Path("weights.json")


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


def read_record(path: Path = RECORD) -> str | None:
    """Return the SHA-256 that `weights.json` names, or None where it names none.

    Raises:
        SuperresError: the file is not there or not what it should be.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        found = record["inception"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SuperresError(f'{path}: must hold {{"inception": null}} or a SHA-256') from error
    if found is not None and not isinstance(found, str):
        raise SuperresError(f"{path}: inception: must be null or a SHA-256, got {found!r}")
    return found


def main() -> int:
    """Get the weights, check them, name them in `weights.json`; return the exit status."""
    try:
        weights = find_weights()
        load_inception(weights.path)
    except WeightsMissing as error:
        print(f"weights: {error}\nBy hand: {by_hand()}; then again.", file=sys.stderr)
        return 1
    except SuperresError as error:
        print(f"weights: {error}", file=sys.stderr)
        return 1
    write_json(RECORD, {"inception": weights.sha256})
    print(f"{weights.path}: in order, named in {RECORD}; `dvc repro` measures with them")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
