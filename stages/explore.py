"""explore: best model + a few test pairs -> grids and curves of how the model behaves.

On several GPUs the script gives way to a launcher, which starts it once for each.
"""

from __future__ import annotations

from typing import Any

from superres.core.launch import first_process, launch
from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.explore.config import ExploreParams
from superres.explore.explore import explore


def main() -> dict[str, Any]:
    """Run the stage."""
    launch(__file__)
    return explore(
        load_section("explore", ExploreParams),
        model_folder="models/best",
        student_folder="models/student",
        tiles="data/tiles",
        pairs="data/pairs",
        out="reports/explore",
    )


if __name__ == "__main__":
    run_stage("explore", main, timed=first_process())
