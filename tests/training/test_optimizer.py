from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import checked, trainer

from superres.training.optimizer import learning_rate


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
