"""Steps that went wrong and steps that did not fit: what is left out, freed and told."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from trainings import IMPORTANCE, trainer, weights

from superres.core.errors import SuperresError
from superres.training.batches import HostBatch, TrainingBatch
from superres.training.memory import memory_advice, network_that_fits, step_that_fits
from superres.training.trainer import Trainer
from support import tiny_params


def spoilt(made: Trainer, at: int) -> None:
    """Let the batch of one step hold a tile that nothing can be learned from."""
    read = made.batches.read

    def spoil(first: int, count: int) -> HostBatch:
        batch = read(first, count)
        if first == at * made.params.batch:
            batch.entropy[1] = torch.nan
        return batch

    made.batches.read = spoil  # type: ignore[method-assign]


def test_a_bad_step_is_found_with_its_worst_tile(project: Path, tmp_path: Path) -> None:
    made = trainer(project, tmp_path)
    spoilt(made, at=1)
    for _ in range(3):
        made.advance()
    fault = made.check()
    assert fault is not None
    assert (fault.step, fault.what) == (2, "the loss is nan")
    assert fault.tiles.startswith(f"{made.batches.names(5, 1)[0]} (nan), ")


def test_a_bad_step_is_skipped_where_that_is_asked_for(project: Path, tmp_path: Path) -> None:
    skip = {"action": "skip", "limit": 1, "factor": None}
    made = trainer(project, tmp_path, bad_loss=skip)
    spoilt(made, at=1)
    assert made.advance() is None
    before = weights(made)
    fault = made.advance()
    assert fault is not None
    assert fault.step == 2
    assert all(torch.equal(before[name], weight) for name, weight in weights(made).items())
    assert made.advance() is None
    assert made.skipped == 1
    assert all(torch.isfinite(weight).all() for weight in weights(made).values())
    assert np.isfinite(made.window.row()["loss"])


def test_importance_sampling_learns_nothing_from_a_skipped_step(
    project: Path, tmp_path: Path
) -> None:
    """One loss that is no number would make all probabilities none, for good."""
    made = trainer(
        project,
        tmp_path,
        bad_loss={"action": "skip", "limit": 1, "factor": None},
        loss=tiny_params()["train"]["loss"] | IMPORTANCE,
    )
    spoilt(made, at=0)
    assert made.advance() is not None
    assert not made.timesteps.state()["counts"].any()
    assert made.advance() is None
    assert torch.isfinite(made.timesteps.state()["history"]).all()
    assert made.timesteps.state()["counts"].sum() == made.params.batch


def test_a_size_that_fits_is_found_by_trying(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(project, tmp_path, batch=12)
    evaluate = made.objective.terms

    def short_of_memory(batch: TrainingBatch, timesteps: torch.Tensor) -> dict[str, torch.Tensor]:
        if len(batch.high) > largest:
            raise torch.OutOfMemoryError("out of memory")
        return evaluate(batch, timesteps)

    monkeypatch.setattr(made.objective, "terms", short_of_memory)
    largest = 4
    with pytest.raises(torch.OutOfMemoryError):
        made.advance()
    assert "with 12 tiles in a pass; train.micro_batches: 3 (4 in a pass)" in memory_advice(made)
    largest = 0
    assert "raise train.micro_batches" in memory_advice(made)


def test_what_did_not_fit_is_free_before_anything_else_is_tried(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error keeps the variables of the functions it went through: a whole step's activations."""
    made = trainer(project, tmp_path)
    held: list[weakref.ref[torch.Tensor]] = []
    evaluate = made.objective.terms

    def short_of_memory(batch: TrainingBatch, timesteps: torch.Tensor) -> dict[str, torch.Tensor]:
        assert not any(activations() is not None for activations in held), "still in memory"
        activations = torch.ones(len(batch.high))
        held.append(weakref.ref(activations))
        if len(batch.high) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return evaluate(batch, timesteps)

    monkeypatch.setattr(made.objective, "terms", short_of_memory)
    with (
        pytest.raises(SuperresError, match=r"train\.micro_batches: 4 \(1 in a pass\) fits"),
        step_that_fits(made),
    ):
        made.advance()
    assert len(held) == 3  # 4, 2 and 1 tiles


def test_memory_that_lacks_elsewhere_is_told_too() -> None:
    with (
        pytest.raises(SuperresError, match=r"out of memory outside of the steps: .*channels"),
        network_that_fits(),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 1 GiB.")


def test_gradients_are_clipped_and_the_optimiser_gets_its_params(
    project: Path, tmp_path: Path
) -> None:
    made = trainer(project, tmp_path, clip_norm=0.01, betas=[0.8, 0.9], weight_decay=0.3)
    made.advance()
    gradients = [weight.grad for weight in made.weights.values()]
    total = torch.stack([gradient.norm() for gradient in gradients if gradient is not None]).norm()
    assert total.item() == pytest.approx(0.01, rel=1e-3)
    assert (made.window.row()["gradient_norm"] or 0) > 0.01
    (group,) = made.optimizer.adam.param_groups
    assert (group["betas"], group["weight_decay"]) == ((0.8, 0.9), 0.3)
