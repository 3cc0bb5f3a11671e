from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from trainings import trainer, weights

from superres.core.errors import SuperresError
from superres.training.config import AveragingParams
from superres.training.ema import (
    SNAPSHOTS,
    Averages,
    combination,
    exponent,
    find_snapshots,
    power_decay,
    rebuild,
)

WIDTHS = [0.05, 0.1]


def params(power=WIDTHS, ema=0.9):
    return AveragingParams(ema=ema, power=list(power))


def walk(steps, seed=0):
    """Weights of a random walk with drift: a training's, seen from far away."""
    generator = torch.Generator().manual_seed(seed)
    moves = torch.randn(steps, 3, 2, generator=generator) * 0.1
    return (moves + 0.02).cumsum(dim=0)


def trained(tmp_path, steps=400, every=50, power=WIDTHS):
    path = walk(steps)
    averages = Averages({"w": path[0]}, params(power))
    snapshots = []
    for step in range(1, steps + 1):
        averages.update(step, {"w": path[step - 1]})
        if step % every == 0:
            folder = tmp_path / f"step-{step}"
            folder.mkdir()
            averages.save_snapshots(folder, step)
            snapshots += find_snapshots(folder)
    return path, snapshots


def tracked(path, width, steps):
    average = Averages({"w": path[0]}, params([width, 0.2]))
    for step in range(1, steps + 1):
        average.update(step, {"w": path[step - 1]})
    return average.tensors()[f"{width}/w"]


@pytest.mark.parametrize("width", [0.02, 0.05, 0.1, 0.2, 0.28])
def test_the_exponent_gives_a_profile_of_that_width(width):
    gamma = exponent(width)
    assert np.sqrt(gamma + 1) / ((gamma + 2) * np.sqrt(gamma + 3)) == pytest.approx(width)


def test_widths_of_the_paper_have_its_exponents():
    # Karras et al. 2024, section 3.1: widths of 5 % and 10 % have gamma 16.97 and 6.94.
    assert exponent(0.05) == pytest.approx(16.97, abs=0.005)
    assert exponent(0.10) == pytest.approx(6.94, abs=0.005)


def test_a_power_average_weights_steps_by_their_power():
    steps, gamma = 300, exponent(0.1)
    average = 0.0
    for step in range(1, steps + 1):
        decay = power_decay(step, gamma)
        average = decay * average + (1 - decay) * step
    mean = steps * (gamma + 1) / (gamma + 2)
    assert average == pytest.approx(mean, rel=0.005)


def test_the_classic_average_is_the_textbook_one():
    path = walk(60)
    averages = Averages({"w": path[0]}, params([]))
    expected = path[0].clone()
    for step in range(1, 61):
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * path[step - 1]
        averages.update(step, {"w": path[step - 1]})
    torch.testing.assert_close(averages.classic["w"], expected)


@pytest.mark.parametrize("width", [0.05, 0.07, 0.1, 0.15])
@pytest.mark.parametrize("step", [200, 400])
def test_an_average_is_rebuilt_as_if_it_had_been_kept(tmp_path, width, step):
    path, snapshots = trained(tmp_path)
    kept = tracked(path, width, step)
    error = (rebuild(snapshots, step, width)["w"] - kept).norm()
    # Between the kept widths; 0.5 to 2 % of how far the average is from the weights.
    assert error < 0.03 * (path[step - 1] - kept).norm()


def test_a_kept_width_is_rebuilt_from_its_own_snapshot(tmp_path):
    path, snapshots = trained(tmp_path)
    shares = combination([(s.step, exponent(s.width)) for s in snapshots], (400, exponent(0.1)))
    own = [s.step == 400 and s.width == 0.1 for s in snapshots]
    np.testing.assert_allclose(shares, np.array(own, float), atol=1e-6)
    torch.testing.assert_close(rebuild(snapshots, 400, 0.1)["w"], tracked(path, 0.1, 400))


def test_shares_sum_to_one_however_short_the_average():
    profiles = [(step, exponent(width)) for step in (100, 200, 300) for width in WIDTHS]
    for width in (0.01, 0.03, 0.28):
        assert combination(profiles, (300, exponent(width))).sum() == pytest.approx(1)


def test_later_snapshots_are_not_used(tmp_path):
    _, snapshots = trained(tmp_path)
    early = [snapshot for snapshot in snapshots if snapshot.step <= 200]
    assert torch.equal(rebuild(snapshots, 200, 0.07)["w"], rebuild(early, 200, 0.07)["w"])
    with pytest.raises(SuperresError, match="up to step 49"):
        rebuild(snapshots, 49, 0.07)


def test_averaging_goes_on_where_it_stopped():
    path = walk(40)
    whole, first, second = (Averages({"w": path[0]}, params()) for _ in range(3))
    for step in range(1, 41):
        whole.update(step, {"w": path[step - 1]})
    for step in range(1, 21):
        first.update(step, {"w": path[step - 1]})
    second.resume({name: value.clone() for name, value in first.tensors().items()})
    for step in range(21, 41):
        second.update(step, {"w": path[step - 1]})
    assert whole.tensors().keys() == {"classic/w", "0.05/w", "0.1/w"}
    for name, value in whole.tensors().items():
        assert torch.equal(value, second.tensors()[name])


def test_averages_are_copies():
    weight = torch.ones(2)
    averages = Averages({"w": weight}, params())
    weight.zero_()
    assert all(value.sum() == 2 for value in averages.tensors().values())


def test_no_widths_no_snapshots(tmp_path):
    Averages({"w": torch.ones(2)}, params([])).save_snapshots(tmp_path, 1)
    assert find_snapshots(tmp_path) == []


def test_damaged_snapshots_are_named(tmp_path):
    (tmp_path / SNAPSHOTS).write_bytes(b"\0" * 20)
    with pytest.raises(SuperresError, match=SNAPSHOTS):
        find_snapshots(tmp_path)
    save_file({"w": torch.ones(1)}, tmp_path / SNAPSHOTS)
    with pytest.raises(SuperresError, match=SNAPSHOTS):
        find_snapshots(tmp_path)


@pytest.mark.parametrize("power", [[0.1], [0.1, 0.1], [0.1, 0.3]])
def test_widths_that_cannot_be_combined_are_refused(power):
    with pytest.raises(ValidationError):
        params(power)


def test_shares_are_those_of_the_papers_algorithm():
    """Karras et al. 2024, algorithm 3, as printed; there the shares need not sum to one."""
    steps, gammas = np.meshgrid([100.0, 200.0, 300.0, 400.0], [exponent(w) for w in WIDTHS])
    profiles = list(zip(steps.ravel(), gammas.ravel(), strict=True))
    wanted = (400.0, exponent(0.07))

    def product(one, other):
        (t_a, gamma_a), (t_b, gamma_b) = one, other
        ratio = (t_a / t_b) ** (gamma_b if t_a < t_b else -gamma_a)
        return (gamma_a + 1) * (gamma_b + 1) * ratio / ((gamma_a + gamma_b + 1) * max(t_a, t_b))

    gram = np.array([[product(one, other) for other in profiles] for one in profiles])
    theirs = np.linalg.solve(gram, [product(one, wanted) for one in profiles])
    assert theirs.sum() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(combination(profiles, wanted), theirs, atol=0.02)


@pytest.mark.parametrize("width", [0.07, 0.15])
def test_a_real_trainings_average_is_rebuilt_as_if_it_had_been_kept(project, tmp_path, width):
    """To 3 % of how far the average is from the weights, from ten checkpoints."""
    steps = 100
    made = trainer(project, tmp_path, steps=steps, averaging={"ema": 0.9, "power": WIDTHS})
    kept = Averages(weights(made), params([width, 0.2]))
    snapshots = []
    for step in range(1, steps + 1):
        made.advance()
        kept.update(step, weights(made))
        if step % 10 == 0:
            folder = tmp_path / f"step-{step}"
            folder.mkdir()
            made.averages.save_snapshots(folder, step)
            snapshots += find_snapshots(folder)
    rebuilt, error, distance = rebuild(snapshots, steps, width), 0.0, 0.0
    for name, weight in weights(made).items():
        average = kept.tensors()[f"{width}/{name}"]
        error += (rebuilt[name] - average).square().sum().item()
        distance += (weight - average).square().sum().item()
    assert distance > 0
    assert error**0.5 < 0.03 * distance**0.5
