from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from superres.errors import SuperresError
from superres.model_folder import read_spec
from superres.params.check import check_params
from superres.training.selection import select_checkpoint
from support import tiny_params, write_yaml


def choose(project: Path, tmp_path: Path, checkpoints: Path, **changes: Any) -> pd.DataFrame:
    params = tiny_params()
    params["select"].update(changes)
    select_checkpoint(
        check_params(write_yaml(tmp_path / "params.yaml", params)).select,
        checkpoints,
        project / "data/tiles",
        project / "data/pairs",
        tmp_path / "best",
        tmp_path / "selection.csv",
    )
    return pd.read_csv(tmp_path / "selection.csv")


@pytest.fixture
def checkpoints(project: Path, tmp_path: Path) -> Path:
    """Return three checkpoints: one as trained, one spoilt with noise, one equal to the first."""
    folder = tmp_path / "checkpoints"
    good = project / "models/train/step-00000006"
    for step in (2, 4, 8):
        shutil.copytree(good, folder / f"step-{step:08d}")
    spoilt = folder / "step-00000004" / "weights.safetensors"
    weights = load_file(spoilt)
    save_file({name: w + 0.5 * torch.randn_like(w) for name, w in weights.items()}, spoilt)
    return folder


@pytest.mark.parametrize("metric", ["psnr_estimate", "psnr_sample", "swd"])
def test_the_best_wins_and_of_equals_the_earliest(
    project: Path, tmp_path: Path, checkpoints: Path, metric: str
) -> None:
    table = choose(project, tmp_path, checkpoints, metric=metric)
    assert list(table["step"]) == [2, 4, 8]
    assert list(table["chosen"]) == [1, 0, 0]
    assert table[metric][0] == table[metric][2]
    spec = read_spec(tmp_path / "best")
    assert spec.provenance["metric"] == metric
    assert spec.provenance["scores"][metric] == pytest.approx(table[metric][0])
    ours = load_file(tmp_path / "best" / "weights.safetensors")
    theirs = load_file(checkpoints / "step-00000002" / "weights.safetensors")
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def test_batches_change_no_score(project: Path, tmp_path: Path, checkpoints: Path) -> None:
    one = choose(project, tmp_path, checkpoints, batch=1)
    two = choose(project, tmp_path, checkpoints, batch=3)
    pd.testing.assert_frame_equal(one, two, rtol=1e-3)


def test_no_checkpoint_is_an_error(project: Path, tmp_path: Path) -> None:
    with pytest.raises(SuperresError, match=r"holds no checkpoint \(step-\*\)"):
        choose(project, tmp_path, tmp_path)
