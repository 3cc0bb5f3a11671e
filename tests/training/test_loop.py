from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from superres.data.dataset import PairSet
from superres.errors import SuperresError
from superres.params.check import Params, check_params
from superres.params.train import DropParams
from superres.training.batches import Batches, validation_batch
from superres.training.checkpoints import Progress, State, fingerprint
from superres.training.loop import train
from superres.training.optimization import ema_decay, learning_rate, update_average
from superres.training.trainer import Trainer
from support import ROOT, environment, tiny_params, write_yaml

DROP = DropParams(low=0.25, entropies=0.5)


def checked(tmp_path: Path, **changes: Any) -> Params:
    params = tiny_params()
    params["train"].update(changes)
    return check_params(write_yaml(tmp_path / "params.yaml", params))


def trainer(project: Path, tmp_path: Path, **changes: Any) -> Trainer:
    params = checked(tmp_path, **changes)
    return Trainer(
        params.model,
        params.diffusion,
        params.train,
        project / "data/tiles",
        project / "data/pairs",
    )


def weights(made: Trainer) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in made.weights.items()}


def test_the_loss_falls(project: Path, tmp_path: Path) -> None:
    made = trainer(project, tmp_path, steps=120, batch=8)
    losses = [made.advance()["mse"].item() for _ in range(120)]
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:10])


def test_micro_batches_change_nothing_but_rounding(project: Path, tmp_path: Path) -> None:
    whole, parts = (trainer(project, tmp_path, batch=4, micro_batches=micro) for micro in (1, 4))
    for _ in range(2):
        whole.advance()
        parts.advance()
    for name, weight in weights(whole).items():
        torch.testing.assert_close(weights(parts)[name], weight, rtol=1e-3, atol=2e-4)


def test_a_resumed_training_is_the_same_to_the_last_bit(project: Path, tmp_path: Path) -> None:
    through = trainer(project, tmp_path)
    for _ in range(4):
        through.advance()
    first = trainer(project, tmp_path)
    first.advance()
    first.advance()
    Progress(tmp_path / "progress", "x").save(first.state())
    state = Progress(tmp_path / "progress", "x").load()
    assert state is not None
    second = trainer(project, tmp_path, seed=0)
    second.resume(state)
    second.advance()
    second.advance()
    for name, weight in weights(through).items():
        assert torch.equal(weights(second)[name], weight), name
        assert torch.equal(second.average[name], through.average[name]), name


@pytest.mark.parametrize(
    "changes", [{"precision": "bf16"}, {"activation_checkpointing": True}, {"clip_norm": None}]
)
def test_options_train(project: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    made = trainer(project, tmp_path, **changes)
    before = weights(made)
    terms = made.advance()
    assert all(torch.isfinite(term) for term in terms.values())
    made.advance()
    after = weights(made)
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_validation_is_of_the_average_and_leaves_the_weights_alone(
    project: Path, tmp_path: Path
) -> None:
    made = trainer(project, tmp_path)
    for _ in range(3):
        made.advance()
    before = weights(made)
    loss = made.validation_loss()
    assert loss == made.validation_loss()
    for name, weight in weights(made).items():
        assert torch.equal(before[name], weight)
    for average in made.average.values():
        average.add_(0.05)
    assert made.validation_loss() != loss


def run_training(project: Path, tmp_path: Path, name: str, **changes: Any) -> Path:
    params = checked(tmp_path, **changes)
    out = tmp_path / name / "models" / "train"
    train(
        params.model,
        params.diffusion,
        params.train,
        project / "data/tiles",
        project / "data/pairs",
        out,
        tmp_path / name / "train.csv",
    )
    return out


def test_a_training_leaves_checkpoints_and_curves(project: Path, tmp_path: Path) -> None:
    out = run_training(project, tmp_path, "a", steps=5, checkpoint_every=2)
    names = sorted(path.name for path in out.iterdir())
    assert names == ["step-00000002", "step-00000004", "step-00000005"]
    description = json.loads((out / names[-1] / "model.json").read_text())
    assert description["provenance"]["step"] == 5
    assert description["entropies"] == ["blur", "jpeg"]
    log = pd.read_csv(tmp_path / "a" / "train.csv")
    assert list(log["step"]) == [1, 2, 4, 5]
    assert log["val_loss"].notna().sum() == 3
    assert {"loss", "mse", "vb", "gradient_norm", "learning_rate"} <= set(log.columns)
    assert not list((tmp_path / "a" / "models" / ".progress").iterdir())


def test_a_loss_that_explodes_ends_the_run_and_keeps_the_last_state(
    project: Path, tmp_path: Path
) -> None:
    with pytest.raises(SuperresError, match=r"at step \d+ .*train\.learning_rate\.peak"):
        run_training(
            project,
            tmp_path,
            "a",
            steps=40,
            log_every=1,
            checkpoint_every=1,
            clip_norm=None,
            learning_rate={
                "peak": 1.0,
                "warmup_steps": 0,
                "decay": "constant",
                "final_fraction": 1.0,
                "halve_at": [],
            },
            weight_decay=10.0,
        )
    assert not (tmp_path / "a" / "models" / "train").exists()
    (folder,) = (tmp_path / "a" / "models" / ".progress").iterdir()
    state = Progress(folder.parent, folder.name).load()
    assert state is not None
    assert all(np.isfinite(row["loss"]) for row in state.log)


def test_a_training_killed_after_its_last_step_still_delivers(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the results' arrival and the end of progress, everything is done once more."""

    def killed(_: Progress) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Progress, "discard", killed)
        run_training(project, tmp_path, "a")
    out = run_training(project, tmp_path, "a")
    assert [path.name for path in sorted(out.iterdir())] == ["step-00000003", "step-00000006"]
    assert (out / "step-00000006" / "weights.safetensors").is_file()


def start_stage(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "stages/train.py")],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def workspace(project: Path, folder: Path) -> Path:
    params = tiny_params()
    params["train"].update(steps=40, checkpoint_every=10, log_every=5)
    folder.mkdir()
    write_yaml(folder / "params.yaml", params)
    (folder / "data").mkdir()
    for name in ("tiles", "pairs"):
        (folder / "data" / name).symlink_to(project / "data" / name)
    return folder


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 128 + 15)]
)
def test_a_killed_training_goes_on_and_ends_in_the_same_weights(
    project: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    through = workspace(project, tmp_path / "through")
    assert start_stage(through).wait(timeout=120) == 0

    killed = workspace(project, tmp_path / "killed")
    process = start_stage(killed)
    deadline = time.monotonic() + 60
    while not list(killed.glob("models/.progress/*/state/state.json")):
        assert time.monotonic() < deadline, "no state was written"
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, number)
    assert process.wait(timeout=60) == status
    assert not (killed / "models/train").exists()

    again = start_stage(killed)
    output, _ = again.communicate(timeout=120)
    assert again.returncode == 0, output
    assert "going on from step" in output
    last = "models/train/step-00000040/weights.safetensors"
    ours, theirs = load_file(killed / last), load_file(through / last)
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name
    assert (killed / "reports/train.csv").read_text() == (through / "reports/train.csv").read_text()


def test_positions_decide_everything(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    device = torch.device("cpu")
    whole = Batches(pairs, 0, DROP).at(3, 4, device)
    late = Batches(pairs, 0, DROP).at(5, 2, device)
    for all_of_it, part in zip(whole, late, strict=True):
        assert torch.equal(all_of_it[2:], part)
    other = Batches(pairs, 1, DROP).at(3, 4, device)
    assert not torch.equal(whole.noise, other.noise)
    assert whole.high.shape == (4, 3, 32, 32)
    assert whole.low.shape == (4, 3, 16, 16)


def test_every_pair_comes_once_per_epoch(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    batches = Batches(pairs, 0, DROP)
    for epoch in (0, 1):
        items = [batches._item(epoch * len(pairs) + place) for place in range(len(pairs))]
        assert sorted(items) == list(range(len(pairs)))


def test_high_and_low_are_turned_alike(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    batch = Batches(pairs, 0, DROP).at(0, 16, torch.device("cpu"))
    small = torch.nn.functional.avg_pool2d(batch.high, 2)
    for high, low in zip(small, batch.low, strict=True):
        turned = torch.rot90(low, 1, (1, 2))
        assert (high - low).square().mean() < (high - turned).square().mean()


def test_conditions_are_withheld_as_often_as_asked_each_on_its_own(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    batch = Batches(pairs, 0, DROP).at(0, 600, torch.device("cpu"))
    low, entropies = batch.drop_low.double(), batch.drop_entropies.double()
    assert low.mean().item() == pytest.approx(0.25, abs=0.06)
    assert entropies.mean().item() == pytest.approx(0.5, abs=0.06)
    assert (low * entropies).mean().item() == pytest.approx(0.125, abs=0.05)
    assert ((batch.uniform >= 0) & (batch.uniform < 1)).all()
    never = Batches(pairs, 0, DropParams(low=0.0, entropies=0.0)).at(0, 50, torch.device("cpu"))
    assert not never.drop_low.any()
    assert not never.drop_entropies.any()


def test_a_network_that_is_told_nothing_is_told_nothing(project: Path, tmp_path: Path) -> None:
    """With everything withheld, neither inputs nor entropies move a gradient."""
    gradients = []
    for change in (0.0, 0.3):
        made = trainer(project, tmp_path, drop={"low": 1.0, "entropies": 1.0})
        assert made.spec.dropped == ["low", "entropies"]
        batch = made.batches.at(0, 2, made.device)
        told = batch._replace(low=batch.low, entropy=batch.entropy + change)
        t = torch.tensor([3, 70])
        made._terms(told, t)["loss"].mean().backward()
        gradients.append(made.weights["out.2.weight"].grad)
    assert torch.equal(*gradients)
    assert trainer(project, tmp_path).spec.dropped == []


def test_importance_sampling_is_resumed_and_does_not_mind_micro_batches(
    project: Path, tmp_path: Path
) -> None:
    changes = {
        "loss": {**tiny_params()["train"]["loss"], "timesteps": "loss_second_moment"}
        | {"high_noise": 0.0, "kind": "kl"}
    }
    through = trainer(project, tmp_path, batch=8, **changes)
    divided = trainer(project, tmp_path, batch=8, micro_batches=4, **changes)
    for _ in range(3):
        through.advance()
        divided.advance()
    ours, theirs = through.timesteps.state(), divided.timesteps.state()
    assert torch.equal(ours["counts"], theirs["counts"])
    assert ours["counts"].sum() == 24
    torch.testing.assert_close(ours["history"], theirs["history"], rtol=1e-3, atol=1e-3)
    resumed = trainer(project, tmp_path, batch=8, **changes)
    resumed.resume(through.state())
    through.advance()
    resumed.advance()
    for name, weight in weights(through).items():
        assert torch.equal(weight, resumed.weights[name]), name


def test_validation_batch_is_fixed(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "val")
    one, two = (validation_batch(pairs, 4, torch.device("cpu")) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert len(one.high) == 4
    assert not one.drop_low.any()


def test_learning_rates(tmp_path: Path) -> None:
    rate = {"peak": 1.0, "warmup_steps": 10, "decay": "cosine", "final_fraction": 0.1}

    def at(step: int, **changes: Any) -> float:
        params = checked(tmp_path, learning_rate={**rate, "halve_at": [50, 80], **changes})
        return learning_rate(step, 110, params.train.learning_rate)

    assert at(0) == pytest.approx(0.1)
    assert at(9) == at(10) == pytest.approx(1.0)
    assert at(60) == pytest.approx(0.55)
    assert at(110) == at(500) == pytest.approx(0.1)
    assert [at(step, decay="step") for step in (49, 50, 79, 80)] == [1, 0.5, 0.5, 0.25]
    assert at(100, decay="constant") == 1


def test_averages() -> None:
    assert ema_decay(0, 0.999) == pytest.approx(0.1)
    assert ema_decay(10**6, 0.999) == 0.999
    average, weight = [torch.zeros(2)], [torch.ones(2)]
    update_average(average, weight, 0.75)
    assert average[0].tolist() == [0.25, 0.25]


def test_fingerprints_change_with_params_and_data(tmp_path: Path) -> None:
    params = checked(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    (data / "x.npy").write_bytes(b"a" * 200_000)
    base = fingerprint([params.train], [data])
    assert base == fingerprint([params.train], [data])
    assert base != fingerprint([checked(tmp_path, steps=7).train], [data])
    (data / "x.npy").write_bytes(b"a" * 199_999 + b"b")
    assert base != fingerprint([params.train], [data])


def test_a_damaged_state_is_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(tmp_path, "x")
    assert progress.load() is None
    progress.save(State(3, {"a": torch.ones(2)}, [{"step": 3.0}]))
    (tmp_path / "x" / "state" / "state.safetensors").write_bytes(b"\x00" * 9)
    assert progress.load() is None
    assert "damaged" in capsys.readouterr().err
