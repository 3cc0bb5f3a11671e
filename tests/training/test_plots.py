"""What DVC draws of a training and a selection: every column is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from support import ROOT

FILES = ("reports/train.csv", "reports/selection.csv")
PLOTS: dict[str, dict[str, Any]] = {
    name: about
    for plot in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    if isinstance(plot, dict)
    for name, about in plot.items()
    if set(about["y"]) & set(FILES)
}


@pytest.mark.parametrize("name", PLOTS)
def test_what_is_plotted_is_written(project: Path, name: str) -> None:
    ((file, columns),) = PLOTS[name]["y"].items()
    written = set(pd.read_csv(project / file).columns)
    assert {PLOTS[name]["x"], *([columns] if isinstance(columns, str) else columns)} <= written
