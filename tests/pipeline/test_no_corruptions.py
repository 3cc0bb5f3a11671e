"""Bicubic inputs of a third of the size without corruptions, through every stage, at tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import superres
from superres.cli import main
from superres.core.storage import Shards, read_manifest
from superres.degradation.corruptions import quantise
from superres.degradation.downsampling import bicubic_downsample
from superres.model.folder import read_spec
from support import copy_project, tiny_classical_params, write_photographs
from whole_pipeline import run_stages


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project in which it has run."""
    folder = tmp_path_factory.mktemp("classical")
    copy_project(folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny_classical_params(), sort_keys=False))
    write_photographs(folder / "photographs")
    assert "Warning" not in run_stages(folder)
    return folder


def test_pairs_are_the_bicubic_inputs_and_nothing_else(finished: Path) -> None:
    pairs = pd.read_csv(finished / "data/pairs/manifest.csv")
    assert not [name for name in pairs.columns if name.startswith("entropy_")]
    tiles, lows = Shards(finished / "data/tiles"), Shards(finished / "data/pairs")
    assert len(read_manifest(finished / "data/tiles")) == len(pairs) > 4
    for row in pairs.to_dict("records"):
        tile = tiles[row["tile_shard"], row["tile_index"]]
        low = lows[row["shard"], row["index"]]
        np.testing.assert_array_equal(low, quantise(bicubic_downsample(tile, 3)))


def test_the_model_knows_no_entropies_and_says_how_inputs_were_made(finished: Path) -> None:
    spec = read_spec(finished / "models/best")
    assert (spec.scale, spec.entropies) == (3, [])
    assert spec.degradation["downsampling"] == "bicubic"


def test_the_stage_for_entropies_says_that_there_are_none(finished: Path) -> None:
    report = json.loads((finished / "reports/entropy.json").read_text())
    assert report == {"note": "no corruptions: there is nothing to estimate"}


def test_the_page_has_figures_and_no_empty_part_for_entropies(finished: Path) -> None:
    metrics = json.loads((finished / "reports/metrics.json").read_text())
    assert {"model", "estimate", "bicubic"} <= set(metrics)
    assert np.isfinite(metrics["estimate"]["psnr"]) and np.isfinite(metrics["model"]["lr_psnr"])
    page = (finished / "reports/index.html").read_text(encoding="utf-8")
    assert page.count("<h2>By photograph</h2>") == 1 and "By entropy and photograph" not in page
    assert "how strongly the input was corrupted" not in page
    assert "conditioned on other entropies" not in page
    assert "<dt>entropies</dt><dd>none</dd>" in page
    pictures = json.loads((finished / "reports/explore/explore.json").read_text())["pictures"]
    assert set(pictures) == {"uncertainty.png", "sizes.png"}


def test_restoring_needs_no_flags_and_takes_those_that_change_nothing(
    finished: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    monkeypatch.chdir(finished)
    monkeypatch.setenv("SUPERRES_DEVICE", "cpu")
    words = ["restore", "photographs/photograph 0.png"]
    assert main([*words, "plain.png"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1].endswith("plain.png: 240 x 288")
    assert not said.err and not recwarn.list
    assert main([*words, "auto.png", "--entropy", "auto"]) == 0
    one, other = (np.asarray(Image.open(finished / f"{n}.png")) for n in ("plain", "auto"))
    assert one.shape == (288, 240, 3)
    np.testing.assert_array_equal(one, other)
    assert main([*words, "sheet.png", "--sheet"]) == 1
    assert "the model knows no corruptions" in capsys.readouterr().err


def test_windows_are_multiples_of_three(finished: Path) -> None:
    restorer = superres.load(finished / "models/best", device="cpu")
    assert restorer.tiling.window == 510
    photo = np.asarray(Image.open(finished / "photographs/photograph 1.png"))
    in_one = restorer.restore(photo, estimate=True)
    windows = superres.load(finished / "models/best", device="cpu", window=96)
    difference = np.abs(in_one.astype(int) - windows.restore(photo, estimate=True))
    assert in_one.shape == (288, 240, 3) and difference.mean() < 1
