"""Steps that went wrong: how they are found, named and left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from trainings import IMPORTANCE, trainer, weights

from superres.training.data import (
    HostBatch,
)
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
    assert not made.objective.timesteps.state()["counts"].any()
    assert made.advance() is None
    assert torch.isfinite(made.objective.timesteps.state()["history"]).all()
    assert made.objective.timesteps.state()["counts"].sum() == made.params.batch
