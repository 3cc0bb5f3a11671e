"""What DVC draws of a training and a selection: every column is there, and gaps stay gaps."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from support import ROOT, run

FILES = ("reports/train.csv", "reports/train_speed.csv", "reports/selection.csv")
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


def test_steps_without_a_figure_are_no_zeros(project: Path, tmp_path: Path) -> None:
    """The validation loss has a figure at checkpoints; DVC gives Vega '' for the other rows."""
    run(project, "dvc", "plots", "show", "training", "--out", str(tmp_path))
    page = (tmp_path / "index.html").read_text()
    begin = re.search(r"var spec = ", page)
    assert begin
    spec, _ = json.JSONDecoder().raw_decode(page, begin.end())
    values = [row[spec["encoding"]["y"]["field"]] for row in spec["data"]["values"]]
    assert "" in values
    (first,) = spec["transform"]
    shown = {"field": "dvc_inferred_y_value"}
    assert first["filter"]["and"] == [{"not": {**shown, "equal": ""}}, {**shown, "valid": True}]
    assert not any("transform" in layer for layer in spec["layer"])
