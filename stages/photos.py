"""Copy the photographs bundled in scikit-image and matplotlib to `data/photos/`.

The first stage that runs, so it also says when `data.source` is missing from a copy of the
repository that DVC made: DVC itself names a path and no reason.
"""

from __future__ import annotations

from typing import Any

from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.data.config import DataParams
from superres.data.sample_photos import copy_photographs
from superres.data.sources import check_copied


def main() -> dict[str, Any]:
    """Write `data/photos/`."""
    params = load_section("data", DataParams)
    copied = copy_photographs("data/photos")
    check_copied(params.source)
    return copied


if __name__ == "__main__":
    run_stage("photos", main)
