"""What the page makes of figures of Inception features and of intervals."""

import json
import math
from dataclasses import replace

import pandas as pd
import pytest
from tiny_run import ORIGIN, build

from superres.reporting import figures, tables
from superres.reporting.config import ReportParams
from superres.reporting.page import render_page
from superres.reporting.run import read_run
from superres.reporting.style import styled


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose contenders have FID, KID, precision and recall."""
    folder = build(tmp_path_factory.mktemp("run"))
    path = folder / "reports" / "metrics.json"
    metrics = json.loads(path.read_text())
    for number, name in enumerate(("model", "estimate", "mean", "bicubic", "bilinear", "lanczos")):
        metrics[name] |= {"fid": 40.0 + number, "kid": 0.01, "kid_std": 0.0022}
        metrics[name] |= {"precision": 0.7, "recall": 0.25}
    path.write_text(json.dumps(metrics))
    return read_run(folder / "data", folder / "reports")


def test_columns_of_features_are_shown_where_they_are_there(run):
    table = tables.contender_table(run)
    keys = [column.name for column in table["columns"]]
    assert keys[-4:] == ["fid", "kid", "precision", "recall"]
    model = next(row for row in table["rows"] if row["key"] == "model")
    cells = dict(zip(keys, model["cells"], strict=True))
    assert cells["fid"] == {"text": "40.00", "best": True, "interval": ""}
    assert cells["kid"]["interval"] == "± 0.0022"


def test_lpips_is_a_column_where_it_was_measured(run):
    plain = tables.contender_table(run)
    metrics = {name: figures | {"lpips": 0.25} for name, figures in run.metrics.items()}
    metrics["mean"]["lpips"] = 0.1234
    intervals = {"mean": {"lpips": [0.1, 0.2]}}
    found = tables.contender_table(replace(run, metrics=metrics, intervals=intervals))
    keys = [column.name for column in found["columns"]]
    assert set(keys) - {column.name for column in plain["columns"]} == {"lpips"}
    mean = next(row for row in found["rows"] if row["key"] == "mean")
    cell = mean["cells"][keys.index("lpips")]
    assert cell == {"text": "0.123", "best": True, "interval": "0.100 to 0.200"}


def test_intervals_stand_below_their_figures(run):
    table = tables.contender_table(run)
    low, high = run.intervals["bicubic"]["psnr"]
    bicubic = next(row for row in table["rows"] if row["key"] == "bicubic")
    assert bicubic["cells"][0]["interval"] == f"{low:.2f} to {high:.2f}"
    assert math.isfinite(low) and low < high
    page = render_page(run, ReportParams(title="x", tiles=2, zoom=2, max_megabytes=1.0), ORIGIN)
    assert f"<small>{low:.2f} to {high:.2f}</small>" in page


def test_the_plane_is_drawn_with_fid_too(run):
    page = render_page(run, ReportParams(title="x", tiles=2, zoom=2, max_megabytes=1.0), ORIGIN)
    assert "PSNR against FID by contender" in page
    rows = [{"contender": n, "label": n, **m} for n, m in run.metrics.items()]
    with styled():
        axes = figures.perception_distortion(pd.DataFrame(rows), "fid").axes[0]
    assert axes.get_ylabel().startswith("FID") and len(axes.texts) == 6


def test_how_it_was_measured_is_told(run):
    page = render_page(run, ReportParams(title="x", tiles=2, zoom=2, max_megabytes=1.0), ORIGIN)
    assert "measured.border_crop_px" in page and "measured.kid.subset_size" in page
    assert "rough and most likely too narrow" in page
