"""Steps that did not fit: what is freed, tried and advised."""

from __future__ import annotations

import weakref
from pathlib import Path

import pytest
import torch
from trainings import trainer

from superres.core.errors import SuperresError
from superres.training.data import (
    TrainingBatch,
)
from superres.training.memory import memory_advice, network_that_fits, step_that_fits


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


def test_memory_that_lacks_elsewhere_is_reported_too() -> None:
    with (
        pytest.raises(SuperresError, match=r"out of memory outside of the steps: .*channels"),
        network_that_fits(),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 1 GiB.")
