"""What the estimator of entropies learns from: stored inputs, fresh ones, tiles with detail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from superres.core.params import parse_section
from superres.core.tensors import to_signal
from superres.degradation.dataset import PairSet
from superres.entropy.config import EntropyParams
from superres.entropy.inputs import SHARPEST, EstimatorInputs
from support import tiny_params
from tiny_trial import build

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> PairSet:
    folder = build(tmp_path_factory.mktemp("run"))
    return PairSet(folder / "tiles", folder / "pairs", "train")


def inputs(pairs: PairSet, **changes: Any) -> EstimatorInputs:
    asked = {**tiny_params()["entropy"], "batch": 64, "shifted": 0.0, **changes}
    return EstimatorInputs(pairs, parse_section("entropy", EntropyParams, asked))


def sides(low: torch.Tensor) -> list[torch.Tensor]:
    """Return a picture's eight orientations."""
    turned = [low, low.transpose(1, 2)]
    return [each.flip(axes) for each in turned for axes in ((), (1,), (2,), (1, 2))]


def test_stored_inputs_are_those_of_the_pairs_turned(pairs: PairSet) -> None:
    low, entropies = inputs(pairs, fresh_corruptions=0.0).at(0, CPU)
    stored = to_signal(pairs.low(np.arange(len(pairs))))
    for picture, told in zip(low[:8], entropies[:8], strict=True):
        (item,) = (pairs.entropies(range(len(pairs))) == told.numpy()).all(axis=1).nonzero()[0]
        assert any(torch.equal(side, picture) for side in sides(stored[item]))


def test_fresh_inputs_repeat_and_are_of_their_step(pairs: PairSet) -> None:
    fresh = inputs(pairs, fresh_corruptions=1.0)
    once, again = fresh.at(3, CPU), inputs(pairs, fresh_corruptions=1.0).at(3, CPU)
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    later = fresh.at(4, CPU)
    assert not any(torch.equal(a, b) for a, b in zip(once, later, strict=True))
    known = {tuple(row) for row in pairs.entropies(range(len(pairs))).tolist()}
    assert not known & {tuple(row) for row in once[1].tolist()}


def test_a_share_of_inputs_is_fresh(pairs: PairSet) -> None:
    known = {tuple(row) for row in pairs.entropies(range(len(pairs))).tolist()}
    half = inputs(pairs, fresh_corruptions=0.5, batch=400)
    stored = [tuple(row) in known for row in half.at(0, CPU)[1].tolist()]
    assert 0.4 < np.mean(stored) < 0.6


def test_fresh_evened_corruptions_come_strong_as_often_as_mild(
    pairs: PairSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    blur, jpeg = pairs.degradation.corruptions
    steps = replace(blur, distribution="cosine"), replace(jpeg, probability=0.5)
    monkeypatch.setattr(pairs, "degradation", replace(pairs.degradation, corruptions=steps))
    plain, evened = (
        inputs(pairs, fresh_corruptions=1.0, evenly=names, batch=2000).at(0, CPU)[1]
        for names in ([], ["blur", "jpeg"])
    )
    assert 0.25 < plain[:, 0].median() < 0.35  # 1 - cos(pi / 4)
    assert 0.45 < evened[:, 0].median() < 0.55
    for drawn in (plain, evened):
        assert 0.45 < (drawn[:, 1] == 0).float().mean() < 0.55


@pytest.mark.parametrize(("fresh", "count"), [(0.0, 30_000), (1.0, 1000)])
def test_tiles_with_detail_are_drawn_more_often(
    pairs: PairSet, fresh: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pairs.rows.assign(sharpness=1.0)
    rows.loc[0, "sharpness"], rows.loc[1, "sharpness"] = 5.0, 10 * SHARPEST
    monkeypatch.setattr(pairs, "rows", rows)
    asked: list[np.ndarray] = []
    read = pairs.low
    monkeypatch.setattr(pairs, "low", lambda items: asked.append(items) or read(items))
    for detail, first, second in ((0.0, 1.0, 1.0), (1.0, 5.0, SHARPEST)):
        inputs(pairs, fresh_corruptions=fresh, detail=detail, evenly=[], batch=count).at(0, CPU)
        shares = np.bincount(asked.pop(), minlength=len(pairs)) / count
        for share, weight in zip(shares[:2], (first, second), strict=True):
            expected = weight / (first + second + len(pairs) - 2)
            assert share == pytest.approx(expected, abs=4 * (expected / count) ** 0.5)


def test_tiles_without_any_detail_are_drawn_alike(
    pairs: PairSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "rows", pairs.rows.assign(sharpness=0.0))
    flat = inputs(pairs, fresh_corruptions=0.0, detail=2.0, batch=400).at(0, CPU)
    monkeypatch.setattr(pairs, "rows", pairs.rows.assign(sharpness=1.0))
    alike = inputs(pairs, fresh_corruptions=0.0, detail=2.0, batch=400).at(0, CPU)
    assert all(torch.equal(a, b) for a, b in zip(flat, alike, strict=True))
