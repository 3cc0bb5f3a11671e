from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import ALONE, IMPORTANCE, MUON, trainer, weights

from superres.core.errors import SuperresError
from superres.model.folder import load_model
from superres.training.checkpoint import Progress
from superres.training.objectives import make_objective, mean
from support import tiny_params


def test_the_loss_falls(project: Path, tmp_path: Path) -> None:
    made = trainer(project, tmp_path, steps=120, batch=8)
    losses = []
    for _ in range(120):
        made.advance()
        losses.append(made.window.row()["mse"])
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:10])


def test_divided_weights_are_refused_in_fp16(project: Path, tmp_path: Path) -> None:
    divided = replace(ALONE, sharded=True)
    with pytest.raises(SuperresError, match=r"train\.precision: fp16 .*SUPERRES_SHARD"):
        trainer(project, tmp_path, divided, precision="fp16")


def test_divided_weights_are_refused_by_muon(project: Path, tmp_path: Path) -> None:
    divided = replace(ALONE, sharded=True)
    with pytest.raises(SuperresError, match=r"train\.muon\.rate: must be 0 with SUPERRES_SHARD"):
        trainer(project, tmp_path, divided, muon=MUON)


def test_micro_batches_change_nothing_but_rounding(project: Path, tmp_path: Path) -> None:
    whole, parts = (trainer(project, tmp_path, batch=4, micro_batches=micro) for micro in (1, 4))
    for _ in range(2):
        whole.advance()
        parts.advance()
    for name, weight in weights(whole).items():
        torch.testing.assert_close(weights(parts)[name], weight, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("changes", [{}, {"muon": MUON}, {"muon": MUON, "channels_last": False}])
def test_a_resumed_training_is_the_same_to_the_last_bit(
    project: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    through = trainer(project, tmp_path, **changes)
    for _ in range(4):
        through.advance()
    first = trainer(project, tmp_path, **changes)
    first.advance()
    first.advance()
    Progress(tmp_path / "progress", "x").save(first.state([]))
    state = Progress(tmp_path / "progress", "x").load()
    assert state is not None
    second = trainer(project, tmp_path, seed=0, **changes)
    second.resume(state)
    second.advance()
    second.advance()
    for name, weight in weights(through).items():
        assert torch.equal(weights(second)[name], weight), name
    for name, average in through.averages.tensors().items():
        assert torch.equal(second.averages.tensors()[name], average), name


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16"},
        {"precision": "fp16"},
        {"activation_checkpointing": True},
        {"clip_norm": None},
        {"channels_last": False},
        {"tf32": True},
        {"averaging": {"ema": 0.9, "power": []}},
    ],
)
def test_options_train(project: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    made = trainer(project, tmp_path, **changes)
    before = weights(made)
    made.advance()
    made.advance()
    assert made.check() is None
    assert np.isfinite(made.window.row()["loss"])
    after = weights(made)
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("option", ["activation_checkpointing", "compile"])
def test_options_for_speed_and_memory_change_rounding_at_most(
    project: Path, tmp_path: Path, option: str
) -> None:
    model = {"channel_mult": [1]}  # a compiler takes its time for every layer
    plain, other = (
        trainer(project, tmp_path, model=model, **{option: value}) for value in (False, True)
    )
    for made in (plain, other):
        made.advance()
        made.advance()
    rows = [made.window.row() for made in (plain, other)]
    for name in ("loss", "gradient_norm"):
        assert rows[0][name] == pytest.approx(rows[1][name], rel=1e-3)
    for name, weight in weights(plain).items():
        torch.testing.assert_close(weights(other)[name], weight, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("rate", [0.0, 2.0])
def test_fp16_finds_its_scale_and_resumes_with_it(
    project: Path, tmp_path: Path, rate: float
) -> None:
    muon = {**MUON, "rate": rate}
    made = trainer(project, tmp_path, precision="fp16", muon=muon)
    made.optimizer.scaler.load_state_dict({**made.optimizer.scaler.state_dict(), "scale": 1e30})
    before = weights(made)
    made.advance()
    assert made.check() is None, "an overflow is no bad loss"
    assert all(torch.equal(before[name], weight) for name, weight in weights(made).items())
    scale = made.optimizer.scaler.get_scale()
    assert scale == pytest.approx(5e29)
    again = trainer(project, tmp_path, precision="fp16", muon=muon)
    made.optimizer.scaler.load_state_dict({**made.optimizer.scaler.state_dict(), "scale": 64.0})
    made.advance()
    again.resume(made.state([]))
    assert again.optimizer.scaler.get_scale() == 64
    assert any(not torch.equal(before[name], weight) for name, weight in weights(made).items())


@pytest.mark.parametrize(
    ("precision", "another"), [("bf16", "fp32"), ("fp16", "fp32"), ("fp32", "bf16")]
)
def test_a_checkpoint_of_one_precision_loads_in_another(
    project: Path, tmp_path: Path, precision: str, another: str
) -> None:
    made = trainer(project, tmp_path, precision=precision)
    made.advance()
    made.save_checkpoint(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    for name, weight in loaded.network.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, made.averages.classic[name])
    losses = [
        mean(make_objective(loaded, made.params.loss, kind), made.validation, 8)
        for kind in (precision, another)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    other = trainer(project, tmp_path, precision=another)
    other.resume(made.state([]))
    other.advance()
    assert other.check() is None


def test_a_window_is_resumed_with_the_rest(project: Path, tmp_path: Path) -> None:
    """Stopped between two rows of the log, the row is that of all its steps."""
    through, first = (trainer(project, tmp_path) for _ in range(2))
    for _ in range(4):
        through.advance()
    first.advance()
    first.advance()
    assert first.check() is None
    second = trainer(project, tmp_path)
    second.resume(first.state([]))
    second.advance()
    second.advance()
    assert second.check() is None
    assert through.check() is None
    assert second.health.state() == through.health.state()
    assert second.window.row() == through.window.row()


def test_validation_is_of_the_average_and_leaves_the_weights_alone(
    project: Path, tmp_path: Path
) -> None:
    made = trainer(project, tmp_path)
    for _ in range(3):
        made.advance()
    before = weights(made)
    with made.averaged():
        loss = made.validation_loss()
        assert loss == made.validation_loss()
    assert made.validation_loss() != loss
    for name, weight in weights(made).items():
        assert torch.equal(before[name], weight)
    for average in made.averages.classic.values():
        average.add_(0.05)
    with made.averaged():
        assert made.validation_loss() != loss


def test_importance_sampling_is_resumed_and_does_not_depend_on_micro_batches(
    project: Path, tmp_path: Path
) -> None:
    changes = {"loss": tiny_params()["train"]["loss"] | IMPORTANCE}
    through = trainer(project, tmp_path, batch=8, **changes)
    divided = trainer(project, tmp_path, batch=8, micro_batches=4, **changes)
    for _ in range(3):
        through.advance()
        divided.advance()
    ours, theirs = through.objective.timesteps.state(), divided.objective.timesteps.state()
    assert torch.equal(ours["counts"], theirs["counts"])
    assert ours["counts"].sum() == 24
    torch.testing.assert_close(ours["history"], theirs["history"], rtol=1e-3, atol=1e-3)
    resumed = trainer(project, tmp_path, batch=8, **changes)
    resumed.resume(through.state([]))
    through.advance()
    resumed.advance()
    for name, weight in weights(through).items():
        assert torch.equal(weight, resumed.weights[name]), name
