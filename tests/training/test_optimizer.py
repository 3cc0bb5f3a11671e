from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import MUON, checked, trainer, weights

from superres.training.optimizer import as_matrix, learning_rate
from superres.training.trainer import Trainer


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


def two_parts(project: Path, tmp_path: Path, **changes: Any) -> Trainer:
    made = trainer(project, tmp_path, two_parts=True, muon=MUON, clip_norm=None, **changes)
    torch.manual_seed(0)
    with torch.no_grad():  # a new network ends in zeros, which let no gradients through
        for weight in made.weights.values():
            weight.add_(0.05 * torch.randn_like(weight))
    return made


@pytest.mark.parametrize("channels_last", [True, False])
def test_muon_makes_all_singular_values_of_a_step_alike(
    project: Path, tmp_path: Path, channels_last: bool
) -> None:
    made = two_parts(project, tmp_path, channels_last=channels_last)
    before = weights(made)
    made.advance()
    rate = made.optimizer.adam.param_groups[0]["lr"]
    name = "mean.middle.0.second.weight"
    moved = (weights(made)[name] - before[name]).flatten(1).double()
    assert name in made.model.unwrapped.block_convolutions()
    # The polar factor of the gradient by another way, as long as torch's rule has it: 0.2 times
    # the root of the longer edge. Newton and Schulz's steps leave singular values of 0.7 to 1.2.
    left, _, right = torch.linalg.svd(made.weights[name].grad.flatten(1).double(), False)
    polar = -MUON["rate"] * rate * 0.2 * max(moved.shape) ** 0.5 * left @ right
    alike = (moved * polar).sum() / (moved.norm() * polar.norm())
    assert alike > 0.97
    assert torch.linalg.matrix_norm(moved, 2) < 1.3 * torch.linalg.matrix_norm(polar, 2)


def test_muon_trains_the_convolutions_of_blocks_and_adam_the_rest(
    project: Path, tmp_path: Path
) -> None:
    made, other = two_parts(project, tmp_path), two_parts(project, tmp_path)
    other.optimizer.adam.step = lambda *_: None  # type: ignore[method-assign]
    before = weights(other)
    other.advance()
    after = weights(other)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    convolutions = set(made.model.unwrapped.block_convolutions())
    assert changed == convolutions
    made.advance()
    assert "mean.stem.weight" in made.optimizer.steps()
    assert not convolutions & set(made.optimizer.steps())


def test_a_step_begins_without_the_last_ones_gradients(project: Path, tmp_path: Path) -> None:
    made = two_parts(project, tmp_path)
    made.advance()
    trained = [
        weight
        for optimizer, _ in made.optimizer._optimizers
        for group in optimizer.param_groups
        for weight in group["params"]
    ]
    assert len(trained) == len(made.weights)
    assert all(weight.grad is not None for weight in trained)
    made.optimizer.begin(made.step)
    assert all(weight.grad is None for weight in (*trained, *made.weights.values()))


def test_a_matrix_shares_its_memory_with_the_convolution() -> None:
    weight = torch.randn(4, 3, 2, 2)
    for layout in (torch.contiguous_format, torch.channels_last):
        laid_out = weight.clone().contiguous(memory_format=layout)
        matrix = as_matrix(laid_out)
        assert matrix.shape == (4, 12)
        matrix.zero_()
        assert not laid_out.any()
