"""What a student learns by."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from students import build, params

from superres.degradation.dataset import PairSet
from superres.distillation.student_objective import LEAST, Distillation, elsewhere, energy_score
from superres.model.folder import load_model
from superres.sampling.batch import Batch, Sampling
from superres.training.data import TrainingBatch, validation_batch


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("run"))


def tiles(run: Path, count: int = 2) -> TrainingBatch:
    pairs = PairSet(run / "tiles", run / "pairs", "train")
    return validation_batch(pairs, pairs.spread(count), torch.device("cpu"))


def test_the_energy_score_of_flat_pictures_is_known() -> None:
    flat = [torch.full((1, 1, 16, 16), value) for value in (0.75, 0.5, -0.25)]

    def distance(value: float) -> float:
        return (value**2 + LEAST**2) ** 0.5

    whole = (distance(1.0) + distance(0.75)) / 2 - distance(0.25) / 2
    assert energy_score(*flat).item() == pytest.approx(2 * whole + 2 * LEAST / 2, rel=1e-5)


def test_the_energy_score_is_least_at_the_truths_own_spread() -> None:
    draw = partial(torch.randn, (64, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    first, second, truth = draw(), draw(), draw()
    scores = {s: energy_score(s * first, s * second, truth).mean().item() for s in (0, 0.7, 1, 1.4)}
    assert min(scores, key=scores.__getitem__) == 1
    squared = {s: (s * first - truth).square().mean().item() for s in scores}
    assert min(squared, key=squared.__getitem__) == 0, "a squared error would let grain fade"


def test_the_second_noise_is_another_one_at_every_place() -> None:
    noise = torch.randn(1, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    other = elsewhere(noise)
    assert torch.equal(noise.flatten().sort().values, other.flatten().sort().values)
    assert abs(torch.corrcoef(torch.stack([noise.flatten(), other.flatten()]))[0, 1]) < 0.05


def test_of_one_step_each_student_and_teacher_agree_before_training(run: Path) -> None:
    objective = Distillation(
        load_model(run / "best"), load_model(run / "best"), params(steps=1, teacher_steps=1)
    )
    terms = objective.terms(tiles(run), torch.zeros(2, dtype=torch.long))
    assert torch.equal(terms["teacher"], torch.zeros(2))
    assert torch.equal(terms["loss"], terms["energy"]) and (terms["energy"] > 0).all()
    further = Distillation(objective.model, load_model(run / "best"), params(steps=1, teacher=1.0))
    taught = further.terms(tiles(run), torch.zeros(2, dtype=torch.long))
    assert set(taught) == {"loss", "teacher"} and (taught["loss"] > 0).all()


def test_what_is_judged_is_what_will_be_sampled(run: Path) -> None:
    """The student's way in training is that of its sampler, to the last bit."""
    model, batch = load_model(run / "best"), tiles(run)
    objective = Distillation(model, None, params(steps=4, teacher=0.0))
    conditioned = model.condition(batch.low, batch.entropy)
    with torch.no_grad():
        made = objective._sample(conditioned, batch.noise[:, :1])
    pairs = PairSet(run / "tiles", run / "pairs", "train")
    items = pairs.spread(2)
    sampler = Batch(model, pairs.low(items), pairs.entropies(items), ["a", "b"], seed=0)
    sampler._noise = lambda *_: lambda: batch.noise[:, :1]  # type: ignore[method-assign]
    sampled = sampler.sample(Sampling("ddim", 4, "trailing_angle"))
    assert torch.equal(sampled, conditioned.decode(made))


def test_gradients_reach_what_is_trained_and_nothing_else(run: Path) -> None:
    model = load_model(run / "best")
    objective = Distillation(model, load_model(run / "best"), params(steps=2))
    objective.terms(tiles(run), torch.zeros(2, dtype=torch.long))["loss"].mean().backward()
    learned = {name for name, w in model.network.named_parameters() if w.grad is not None}
    assert learned == set(model.unwrapped.distilled())
    assert {name.partition(".")[0] for name in learned} == {"denoiser"}


def test_all_of_a_unet_is_trained(tmp_path: Path) -> None:
    model = load_model(build(tmp_path, two_parts=False) / "best")
    assert set(model.unwrapped.distilled()) == {n for n, _ in model.network.named_parameters()}
