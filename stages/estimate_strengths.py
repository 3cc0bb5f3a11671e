"""strengths: pairs -> an estimator of corruption strengths, and its errors."""

from __future__ import annotations

from typing import Any

from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.entropy.config import StrengthsParams
from superres.entropy.train import learn_strengths


def main() -> dict[str, Any]:
    """Run the stage."""
    return learn_strengths(
        load_section("strengths", StrengthsParams),
        tiles="data/tiles",
        pairs="data/pairs",
        out="models/strengths",
        report="reports/strengths.json",
    )


if __name__ == "__main__":
    run_stage("strengths", main)
