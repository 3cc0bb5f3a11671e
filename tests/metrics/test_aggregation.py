import json
import math

import pandas as pd
import pytest

from superres.core.storage import write_json
from superres.metrics.aggregation import summarize

COLUMNS = ("psnr", "psnr_y", "ssim", "ssim_y", "lr_psnr", "color_shift")
PERCEPTION = {"model": {"fid": 3.0, "kid": None}, "bicubic": {"fid": 5.0, "kid": None}}


def table(psnr_of_model=(30.0, 32.0)):
    rows = []
    for number, psnr in enumerate(psnr_of_model):
        for contender, value in (("model", psnr), ("bicubic", 28.0 + number)):
            figures = dict.fromkeys(COLUMNS, 0.5) | {"psnr": value}
            rows.append({"id": f"p{number}", "contender": contender, **figures})
    return pd.DataFrame(rows)


SWD = pd.DataFrame(
    {"contender": ["model", "model", "bicubic", "bicubic"], "swd": [1.0, 2.0, 3.0, 5.0]}
)


def test_figures_are_means_over_tiles_and_levels():
    metrics, notes = summarize(table(), SWD, PERCEPTION)
    assert list(metrics) == ["model", "bicubic", "tiles"]
    assert metrics["tiles"] == 2
    assert metrics["model"]["psnr"] == pytest.approx(31)
    assert metrics["bicubic"]["psnr"] == pytest.approx(28.5)
    assert metrics["model"]["swd"] == pytest.approx(1.5)
    assert set(metrics["model"]) == {*COLUMNS, "fid", "kid", "swd"}
    assert metrics["bicubic"]["fid"] == 5 and metrics["bicubic"]["kid"] is None
    assert notes == []


def test_what_was_not_measured_is_not_there():
    metrics, notes = summarize(table().drop(columns="lr_psnr"), SWD.iloc[:0], PERCEPTION)
    assert "lr_psnr" not in metrics["model"] and metrics["model"]["swd"] is None
    assert notes == []


def test_an_infinite_tile_is_left_out_of_every_mean_with_a_note():
    metrics, notes = summarize(table((math.inf, 30.0)), SWD, PERCEPTION)
    assert metrics["model"]["psnr"] == pytest.approx(30)
    assert metrics["bicubic"]["psnr"] == pytest.approx(29)  # of the same tile, not of both
    assert metrics["model"]["ssim"] == pytest.approx(0.5)
    assert metrics["tiles"] == 2
    assert notes[-1]["metric"] == "psnr" and notes[-1]["contenders"] == ["model", "bicubic"]
    assert notes[-1]["text"].startswith("PSNR is the mean of 1 of 2 pictures")


def test_a_contender_that_is_always_exact_is_null_and_leaves_the_others_alone(tmp_path):
    metrics, notes = summarize(table((math.inf, math.inf)), SWD, PERCEPTION)
    assert metrics["model"]["psnr"] is None
    assert metrics["bicubic"]["psnr"] == pytest.approx(28.5)
    assert notes[-1]["contenders"] == ["model"] and "in every picture" in notes[-1]["text"]
    write_json(tmp_path / "metrics.json", metrics)

    def refuse(constant):
        raise AssertionError(constant)

    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text, parse_constant=refuse) == metrics


def test_no_tile_that_is_finite_for_all():
    rows = table((math.inf, 30.0))
    rows.loc[(rows["contender"] == "bicubic") & (rows["id"] == "p1"), "psnr"] = math.inf
    metrics, notes = summarize(rows, SWD, PERCEPTION)
    assert metrics["model"]["psnr"] is None and metrics["bicubic"]["psnr"] is None
    assert "mean of 0 of 2 pictures" in notes[-1]["text"]
