from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import checked, trainer

from superres.training.optimizer import Optimizer, learning_rate


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


@pytest.mark.parametrize("ratio", [None, 2.0])
def test_a_gradient_is_clipped_to_a_multiple_of_its_usual_norm(
    tmp_path: Path, ratio: float | None
) -> None:
    params = checked(tmp_path, clip_norm=None, clip_ratio=ratio, betas=[0.9, 0.99]).train
    weights = {name: torch.nn.Parameter(torch.ones(4)) for name in ("rare", "usual", "never")}
    made = Optimizer(weights, params, torch.device("cpu"))

    def step(rare: float) -> list[float]:
        made.begin(params.learning_rate.warmup_steps)
        made.backward(rare * weights["rare"].sum() + 0.5 * weights["usual"].sum())
        weights["never"].grad = torch.zeros(4)
        made.clip()
        norms = [float(one.grad.norm()) for one in weights.values() if one.grad is not None]
        made.step()
        return norms

    for _ in range(50):
        assert step(0.5) == pytest.approx([1.0, 1.0, 0.0])
    assert step(50.0) == pytest.approx([100.0 if ratio is None else 2.0, 1.0, 0.0], rel=1e-3)
    if ratio is not None:  # what lasts becomes usual
        assert max(step(50.0)[0] for _ in range(200)) > 50
