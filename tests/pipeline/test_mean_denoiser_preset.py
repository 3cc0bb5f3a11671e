"""The network of two parts, at tiny size, through every stage that meets a model."""

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
from superres.model.folder import read_spec
from support import copy_project, tiny_mean_denoiser_params, write_photographs
from whole_pipeline import run_stages


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project in which it has run at tiny size."""
    folder = tmp_path_factory.mktemp("two-parts")
    copy_project(folder)
    (folder / "params.yaml").write_text(
        yaml.safe_dump(tiny_mean_denoiser_params(), sort_keys=False)
    )
    write_photographs(folder / "photographs")
    run_stages(folder)
    return folder


def test_every_stage_works_with_it(finished: Path) -> None:
    metrics = json.loads((finished / "reports/metrics.json").read_text())
    assert {"model", "estimate", "bicubic"} <= set(metrics)
    log = pd.read_csv(finished / "reports/train.csv")
    assert {"loss", "mean", "deviation", "denoiser"} <= set(log.columns)
    assert (finished / "reports/index.html").stat().st_size > 10_000


def test_the_chosen_model_says_how_it_is_sampled_and_restoring_does_so(finished: Path) -> None:
    sampling = read_spec(finished / "models/best").sampling
    wanted = tiny_mean_denoiser_params()["select"]["restoring"]
    assert sampling is not None
    assert sampling.model_dump() == wanted | {"student": False}
    restorer = superres.load(finished / "models/best", device="cpu")
    photo = np.asarray(Image.open(finished / "photographs/photograph 0.png"))[:24, :20]
    usual = restorer.restore(photo)
    assert usual.shape == (48, 40, 3)
    assert np.array_equal(usual, restorer.restore(photo, **wanted))
    assert restorer.sampling("ddpm").steps == 50


@pytest.mark.parametrize("estimate", [True, False])
def test_a_picture_in_windows_is_the_picture_in_one(finished: Path, estimate: bool) -> None:
    photo = np.asarray(Image.open(finished / "photographs/photograph 1.png"))[:72, :64]
    folder = finished / "models/best"
    in_one = superres.load(folder, device="cpu").restore(photo, estimate=estimate)
    windows = superres.load(folder, device="cpu", window=96).restore(photo, estimate=estimate)
    difference = np.abs(in_one.astype(int) - windows)
    # Windows see less of the picture, and keep the mean network's features in half precision.
    assert difference.mean() < 1 and difference.max() < 24


def test_bits_per_dimension_are_refused_by_name(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished)
    monkeypatch.setenv("SUPERRES_DEVICE", "cpu")
    assert main(["likelihood", "bits", "--count", "1", "--steps", "2"]) == 1
    said = capsys.readouterr().err
    assert "'scaled_luma' has no likelihood of pictures" in said
    assert "Traceback" not in said
