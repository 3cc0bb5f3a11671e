from __future__ import annotations

import numpy as np
import pytest

from superres.selection.verdict import HIGHER_IS_BETTER, decide


def resamples(values: list[float], noise: list[float], shared: float = 0.0) -> np.ndarray:
    """Return resampled figures: each candidate's own noise, and noise that all of them share."""
    generator = np.random.default_rng(0)
    common = shared * generator.standard_normal(500)
    own = generator.standard_normal((len(values), 500)) * np.array(noise)[:, np.newaxis]
    return np.array(values)[:, np.newaxis] + own + common


@pytest.mark.parametrize("metric", HIGHER_IS_BETTER)
def test_the_best_by_the_metrics_direction(metric: str) -> None:
    values = [1.0, 3.0, 2.0] if HIGHER_IS_BETTER[metric] else [3.0, 1.0, 2.0]
    verdict = decide(metric, [1, 2, 3], values, resamples(values, [0.01] * 3))
    assert (verdict.chosen, verdict.best) == (1, 1)
    assert list(verdict.tied) == [False, True, False]


def test_the_earliest_of_a_tie_wins() -> None:
    values = [26.0, 27.0, 27.05]
    verdict = decide("psnr_estimate", [1, 2, 3], values, resamples(values, [0.01, 0.1, 0.1]))
    assert (verdict.chosen, verdict.best) == (1, 2)
    assert list(verdict.tied) == [False, True, True]
    assert verdict.ends[0, 1] < verdict.difference[1] < verdict.ends[1, 1]


def test_what_all_share_hides_no_difference() -> None:
    values = [27.0, 27.05]
    resampled = resamples(values, [0.001, 0.001], shared=3.0)
    verdict = decide("psnr_estimate", [1, 2], values, resampled)
    assert verdict.chosen == 1
    assert list(verdict.tied) == [False, True]


def test_within_a_checkpoint_the_better_of_a_tie_wins() -> None:
    values = [1.02, 1.0, 1.01, 0.99]
    verdict = decide("swd", [5, 5, 5, 9], values, resamples(values, [0.1] * 4))
    assert verdict.tied.all()
    assert verdict.chosen == 1
