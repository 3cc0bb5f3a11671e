from __future__ import annotations

from math import inf, nan
from pathlib import Path

import pytest
from trainings import ALONE, checked

from superres.training import messages
from superres.training.config import BadLossParams
from superres.training.monitor import NEEDED, Health, Monitor


def health(factor: float | None = 10.0, overflows: bool = False, clipped: bool = False) -> Health:
    return Health(BadLossParams(action="stop", limit=1, factor=factor), overflows, clipped)


def experienced(**options: object) -> Health:
    made = health(**options)  # type: ignore[arg-type]
    assert all(made.fault(1.0 + 0.1 * (step % 3), 2.0) is None for step in range(NEEDED))
    return made


@pytest.mark.parametrize(("loss", "norm"), [(nan, 1.0), (inf, 1.0), (1.0, nan), (1.0, inf)])
def test_what_is_not_finite_is_wrong_from_the_first_step(loss: float, norm: float) -> None:
    assert health().fault(loss, norm)


def test_explosions_are_distinguished_from_jumps() -> None:
    made = experienced()
    assert made.fault(9.0, 19.0) is None
    assert "loss has exploded to 12" in str(made.fault(12.0, 2.0))
    assert "gradient norm has exploded to 25" in str(made.fault(1.0, 25.0))
    assert made.fault(1.0, 2.0) is None


def test_a_large_norm_that_is_clipped_does_no_harm() -> None:
    made = experienced(clipped=True)
    assert made.fault(1.0, 1e6) is None
    assert "loss is 1" in str(made.fault(1.0, inf))
    assert "loss has exploded" in str(made.fault(12.0, 2.0))


def test_nothing_explodes_before_the_usual_is_known_or_without_a_factor() -> None:
    made = health()
    assert made.fault(1.0, 1.0) is None
    assert made.fault(1e6, 1e6) is None
    assert experienced(factor=None).fault(1e9, 1e9) is None


def test_overflowing_gradients_are_part_of_fp16() -> None:
    made = experienced(overflows=True)
    assert made.fault(1.0, inf) is None
    assert made.fault(nan, inf)
    assert len(made.state()) == NEEDED


def test_what_was_usual_is_resumed() -> None:
    before, after = experienced(), health()
    after.resume(before.state())
    assert after.fault(12.0, 2.0)


def test_after_a_few_steps_it_is_said_how_long_the_others_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clock that moves 0.5 s per step: the first, slow ones do not count."""
    now = [0.0]
    monkeypatch.setattr("superres.training.monitor.time.perf_counter", lambda: now[0])
    params = checked(tmp_path, steps=1000).train
    monitor = Monitor(tmp_path / "log.csv", params, 100, ALONE)
    for step in range(20):
        now[0] += 60.0 if step < 2 else 0.5
        monitor.advance()
        said = capsys.readouterr().err.count("to go")
        assert said == (step == 12), step
    monitor = Monitor(tmp_path / "log.csv", params, 0, ALONE)
    for _ in range(13):
        now[0] += 0.5
        monitor.advance()
    assert "train: about 8 minutes to go: 987 steps of 0.5 s" in capsys.readouterr().err


def test_a_training_of_a_few_steps_says_nothing_of_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monitor = Monitor(tmp_path / "log.csv", checked(tmp_path, steps=13).train, 0, ALONE)
    for _ in range(13):
        monitor.advance()
    assert "to go" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "said"), [(45, "45 seconds"), (840, "14 minutes"), (36_000, "10.0 hours")]
)
def test_lengths_are_told_in_fitting_units(seconds: float, said: str) -> None:
    assert f"about {said} to go" in messages.expected(seconds, 10, seconds / 10)
