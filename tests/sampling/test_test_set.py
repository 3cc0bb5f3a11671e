"""The `sample` stage's function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from superres.config.check import Params, check_params
from superres.core.errors import SuperresError
from superres.core.storage import Shards, read_manifest
from superres.degradation.dataset import PairSet
from superres.model.folder import load_model, save_model
from superres.networks.conditional_unet import SuperResUNet
from superres.sampling.batch import Sampling
from superres.sampling.test_set import restore_tiles
from support import tiny_params, write_yaml


def checked(tmp_path: Path, section: str, **changes: Any) -> Params:
    params = tiny_params()
    params[section].update(changes)
    return check_params(write_yaml(tmp_path / "params.yaml", params))


def restore(
    project: Path, tmp_path: Path, name: str, model: Path | None = None, **changes: Any
) -> Path:
    out = tmp_path / name
    restore_tiles(
        checked(tmp_path, "sampler", **changes).sampler,
        model or project / "models/best",
        project / "data/tiles",
        project / "data/pairs",
        out,
    )
    return out


def tiles(folder: Path, contender: str) -> np.ndarray:
    rows = read_manifest(folder)
    return Shards(folder).stack(rows[rows["contender"] == contender])


def test_what_the_network_says_of_a_batch_is_computed_once_for_all_its_samples(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[int] = []
    real = SuperResUNet.prepare

    def counted(network: SuperResUNet, low: Tensor, *others: Any) -> Any:
        prepared.append(len(low))
        return real(network, low, *others)

    monkeypatch.setattr(SuperResUNet, "prepare", counted)
    restore(project, tmp_path, "a", repeats=3, batch=4)
    count = len(PairSet(project / "data/tiles", project / "data/pairs", "test"))
    assert sum(prepared) == count and len(prepared) == -(-count // 4)


def test_every_test_pair_is_restored_by_every_contender(project: Path, tmp_path: Path) -> None:
    out = restore(project, tmp_path, "a", repeats=2)
    test = PairSet(project / "data/tiles", project / "data/pairs", "test")
    manifest = read_manifest(out)
    for contender in ("model", "estimate", "mean"):
        rows = manifest[manifest["contender"] == contender]
        assert sorted(rows["id"]) == sorted(test.rows["id"])
        assert tiles(out, contender).shape == (len(test), 32, 32, 3)
    facts = json.loads((out / "sampling.json").read_text())
    assert (facts["steps"], facts["repeats"], facts["entropies"]) == (4, 2, ["blur", "jpeg"])
    assert facts["model"]["step"] in (3, 6)
    assert facts["evaluations"] == 4


def test_evaluations_are_recorded_with_those_of_guidance() -> None:
    assert Sampling("heun", 15).evaluations == 29
    assert Sampling("heun", 15, guidance=0.5).evaluations == 58


def test_without_repeats_there_is_no_mean(project: Path, tmp_path: Path) -> None:
    manifest = read_manifest(restore(project, tmp_path, "a", repeats=1))
    assert set(manifest["contender"]) == {"model", "estimate"}


def test_batches_change_nothing_and_seeds_do(project: Path, tmp_path: Path) -> None:
    one, all_at_once, other = (
        tiles(restore(project, tmp_path, name, repeats=1, **changes), "model").astype(int)
        for name, changes in (("a", {"batch": 1}), ("b", {"batch": 64}), ("c", {"seed": 1}))
    )
    assert np.abs(one - all_at_once).max() <= 1
    assert np.abs(one - other).max() > 3


def test_the_mean_lies_between_samples(project: Path, tmp_path: Path) -> None:
    out = restore(project, tmp_path, "a", repeats=4)
    spread = np.abs(tiles(out, "model").astype(int) - tiles(out, "estimate")).mean()
    assert np.abs(tiles(out, "mean").astype(int) - tiles(out, "estimate")).mean() < spread


def test_more_steps_than_trained_on_are_refused(project: Path, tmp_path: Path) -> None:
    params = checked(tmp_path, "diffusion", timesteps=4000).sampler.model_copy(
        update={"steps": 101}
    )
    with pytest.raises(
        SuperresError, match=r"sampler\.steps: must be between 1 and 100, .*, got 101"
    ):
        restore_tiles(
            params,
            project / "models/best",
            project / "data/tiles",
            project / "data/pairs",
            tmp_path / "out",
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("fp32_alone")
def test_another_precision_is_used_and_written_down(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_model(project / "models/best")
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
    folder = tmp_path / "model"  # one that is hardly trained says nothing that could be rounded
    save_model(folder, model.spec, model.network.state_dict())
    exact = restore(project, tmp_path, "a", folder)
    slow = "sampler.precision: this processor has no instructions for bf16; fp32 will be faster"
    assert slow not in capsys.readouterr().err
    rounded = restore(project, tmp_path, "b", folder, precision="bf16")
    assert json.loads((rounded / "sampling.json").read_text())["precision"] == "bf16"
    assert slow in capsys.readouterr().err
    difference = tiles(exact, "model").astype(int) - tiles(rounded, "model")
    assert 0 < np.abs(difference).mean() < 3
