"""A row of the catalog is all that a figure needs to appear wherever figures do."""

import math
import re
import subprocess
import sys
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from superres.metrics import aggregation, pairwise
from superres.metrics.aggregation import figures_in, summarize
from superres.metrics.catalog import (
    FIGURES,
    TABLE_FIGURES,
    TILE_FIGURES,
    Better,
    FeatureSettings,
    TileFigure,
    figure_named,
)
from superres.metrics.config import KidParams
from superres.metrics.feature_sets import feature_set
from superres.metrics.pairwise import (
    compare,
    compare_features,
    measure_tile,
    without_features,
)
from superres.metrics.weights import (
    ALEXNET,
    COMPARING,
    DISTS_DIGITS,
    LINEAR,
    LPIPS_DIGITS,
    VGG,
)
from superres.reporting.tables import ARROWS, SENTENCES
from tools.metrics_table import PAGE, with_table

HOW = FeatureSettings(KidParams(subsets=3, subset_size=4, seed=0), neighbours=3)


def noise(seed, size=24):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def test_names_are_unique_and_every_direction_can_be_shown():
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names)
    assert set(ARROWS) == set(SENTENCES) == set(get_args(Better))
    assert {figure.better for figure in FIGURES} <= set(ARROWS)
    assert [figure.name for figure in TABLE_FIGURES][:3] == ["psnr", "lpips", "swd"]


def test_reading_it_needs_neither_torch_nor_scikit_image():
    code = "import sys, superres.metrics.catalog; raise SystemExit(bool({'torch', 'skimage'} & "
    code += "set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_lpips_and_dists_name_the_files_that_are_looked_for():
    method = figure_named("lpips").method
    assert ALEXNET in method and LINEAR in method and LPIPS_DIGITS[LINEAR] in method
    method = figure_named("dists").method
    assert VGG in method and COMPARING in method and DISTS_DIGITS[COMPARING] in method


def test_the_documentation_has_its_rows():
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, "run `make deps`"
    assert re.findall(r"^\| `(\w+)` \|", page, re.M)[: len(FIGURES)] == [f.name for f in FIGURES]


def test_a_tile_has_every_figure_that_needs_no_network():
    tile, original = noise(0), noise(1)
    found = measure_tile(tile, original, noise(2)[::2, ::2], lambda t: t[::2, ::2])
    assert set(found) == {f.name for f in TILE_FIGURES} - {"lpips", "dists"}
    alone = compare(tile, original)
    assert set(found) - set(alone) == {"lr_psnr"}
    assert alone["color_shift"] == pytest.approx(
        np.mean([alone[f"color_shift_{channel}"] for channel in "rgb"])
    )


def test_only_figures_that_say_so_are_cropped():
    tile, original = noise(0), noise(1)
    bordered = tile.copy()
    bordered[0] = 0
    whole, inner = compare(tile, original, 2), compare(bordered, original, 2)
    differing = {n for n in whole if not np.array_equal(whole[n], inner[n], equal_nan=True)}
    assert differing == {f.name for f in TILE_FIGURES if f.name.startswith("color_shift")}
    assert not any(f.cropped for f in TILE_FIGURES if f.name in differing)


def test_a_new_row_is_measured_and_averaged(monkeypatch):
    largest = TileFigure(
        name="largest_error",
        title="largest error",
        unit="levels",
        digits=1,
        better="lower",
        meaning="The largest difference of a pixel.",
        method="largest absolute difference",
        measure=lambda restored, original: float(
            np.abs(restored.astype(int) - original.astype(int)).max()
        ),
    )
    rows = (*TILE_FIGURES, largest)
    monkeypatch.setattr(pairwise, "TILE_FIGURES", rows)
    monkeypatch.setattr(aggregation, "TILE_FIGURES", rows)
    one = compare(noise(0), noise(1))
    assert one["largest_error"] > 200
    table = aggregation.pd.DataFrame(
        [{"id": str(n), "contender": "model", **one} for n in range(2)]
    )
    assert "largest_error" in figures_in(table)
    none = aggregation.pd.DataFrame({"contender": [], "swd": []})
    metrics, _ = summarize(table, none, {"model": without_features()})
    assert metrics["model"]["largest_error"] == one["largest_error"]


def test_sets_of_features_have_every_figure_or_none_of_small_ones():
    features = feature_set(np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32))
    found = compare_features(features, features, HOW)
    assert (
        list(found) == list(without_features()) == ["fid", "kid", "kid_std", "precision", "recall"]
    )
    assert found["fid"] == pytest.approx(0, abs=1e-6) and found["precision"] == 1
    assert math.isfinite(found["kid"]) and found["kid_std"] >= 0
    few = compare_features(features, features, replace(HOW, neighbours=9))
    assert few["precision"] is None and few["recall"] is None and few["fid"] == found["fid"]
