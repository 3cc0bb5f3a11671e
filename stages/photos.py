"""Copy the photographs bundled in scikit-image and matplotlib to `data/photos/`."""

from __future__ import annotations

from typing import Any

from superres.core.stage import run_stage
from superres.data.sample_photos import copy_photographs


def main() -> dict[str, Any]:
    """Write `data/photos/`."""
    return copy_photographs("data/photos")


if __name__ == "__main__":
    run_stage("photos", main)
