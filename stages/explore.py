"""explore: best model + a few test pairs -> grids and curves of how the model behaves."""

from __future__ import annotations

from typing import Any

from superres.exploring.explore import explore
from superres.params.explore import ExploreParams
from superres.params.section import load_section
from superres.stage import run_stage


def main() -> dict[str, Any]:
    """Run the stage."""
    return explore(
        load_section("explore", ExploreParams),
        model_folder="models/best",
        tiles="data/tiles",
        pairs="data/pairs",
        out="reports/explore",
    )


if __name__ == "__main__":
    run_stage("explore", main)
