from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
from trainings import trainer, weights

from superres.diffusion.losses import LOSSES
from superres.diffusion.timesteps import UniformTimesteps, spread
from superres.model.folder import SuperResolver
from superres.training.config import LossParams
from superres.training.data import (
    TrainingBatch,
)
from superres.training.objectives import OBJECTIVES, each, mean
from support import tiny_params

FAST = {"peak": 0.01, "warmup_steps": 0, "decay": "constant"}


def test_every_kind_of_loss_has_its_objective() -> None:
    assert set(OBJECTIVES) == set(get_args(LossParams.model_fields["kind"].annotation))
    assert set(LOSSES) <= set(OBJECTIVES)


def test_another_objective_is_trained_resumed_and_shown_without_more_ado(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class and a row: nothing else knows what is minimised."""

    class Distance:
        """To a picture of zeros, at the last timestep: as unlike the other as can be."""

        def __init__(self, model: SuperResolver, _: LossParams, __: str) -> None:
            self.model = model
            self.timesteps = UniformTimesteps(model.diffusion.timesteps)

        def terms(self, batch: TrainingBatch, timesteps: torch.Tensor) -> dict[str, torch.Tensor]:
            output = self.model.condition(batch.low, batch.entropy)(batch.noise, timesteps)
            far = output[:, :3].add(1).square().mean((1, 2, 3))
            return {"loss": 2 * far, "far": far}

    kind = tiny_params()["train"]["loss"]["kind"]
    monkeypatch.setitem(OBJECTIVES, kind, Distance)
    changes = {"steps": 20, "learning_rate": {**tiny_params()["train"]["learning_rate"], **FAST}}
    made = trainer(project, tmp_path, **changes)
    before = made.validation_loss()
    for _ in range(10):
        made.advance()
    assert made.check() is None
    row = made.window.row()
    assert row["loss"] == pytest.approx(2 * row["far"], rel=1e-6)
    assert made.validation_loss() < 0.9 * before
    again = trainer(project, tmp_path, **changes)
    again.resume(made.state([]))
    for each_of_both in (made, again):
        each_of_both.advance()
    for name, weight in weights(made).items():
        assert torch.equal(again.weights[name], weight), name


def test_losses_of_tiles_do_not_depend_on_how_many_are_evaluated_at_once(
    project: Path, tmp_path: Path
) -> None:
    made = trainer(project, tmp_path)
    timesteps = spread(len(made.validation.high), made.model.diffusion.timesteps)
    together, apart = (each(made.objective, made.validation, timesteps, n) for n in (16, 3))
    assert together.shape == (len(made.validation.high),)
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)
    assert mean(made.objective, made.validation, 16) == together.mean().item()


def test_a_withheld_condition_moves_no_gradient(project: Path, tmp_path: Path) -> None:
    """With everything withheld, neither inputs nor entropies move a gradient."""
    gradients = []
    for change in (0.0, 0.3):
        made = trainer(project, tmp_path, drop={"low": 1.0, "entropies": 1.0})
        assert made.spec.dropped == ["low", "entropies"]
        batch = made.batches.at(0, 2, made.device)
        other = batch._replace(low=batch.low, entropy=batch.entropy + change)
        t = torch.tensor([3, 70])
        made.objective.terms(other, t)["loss"].mean().backward()
        gradients.append(made.weights["out.2.weight"].grad)
    assert torch.equal(*gradients)
    assert trainer(project, tmp_path).spec.dropped == []
