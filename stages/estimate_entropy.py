"""entropy: pairs -> an estimator of corruption entropies, and its errors."""

from __future__ import annotations

from typing import Any

from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.entropy.config import EntropyParams
from superres.entropy.train import train_estimator


def main() -> dict[str, Any]:
    """Run the stage."""
    return train_estimator(
        load_section("entropy", EntropyParams),
        tiles="data/tiles",
        pairs="data/pairs",
        out="models/entropy",
        report="reports/entropy.json",
    )


if __name__ == "__main__":
    run_stage("entropy", main)
