from __future__ import annotations

import numpy as np
import pytest

from superres.core import seeding
from superres.core.seeding import derive_seed, rng, rngs


def test_a_seed_depends_on_everything_and_on_nothing_else() -> None:
    base = derive_seed(0, "a", "x", 1)
    others = [derive_seed(1, "a", "x", 1), derive_seed(0, "b", "x", 1), derive_seed(0, "a", "x", 2)]
    assert base == derive_seed(0, "a", "x", 1)
    assert len({base, *others}) == 4
    assert 0 <= base < 2**63


def test_parts_do_not_run_together() -> None:
    assert derive_seed(0, "a", "bc") != derive_seed(0, "ab", "c")
    assert derive_seed(0, "a", 1, 23) != derive_seed(0, "a", 12, 3)


def test_values_stay_what_they_were() -> None:
    """A change would silently redraw every experiment."""
    assert derive_seed(0, "train", 5) == 9146760979926727168
    assert rng(0, "train", 5).integers(1000) == 581


def test_many_generators_at_once_are_those_made_one_by_one() -> None:
    items = [(f"tile-{number}", number % 3) for number in range(300)]
    for made, item in zip(rngs(7, "degrade", items), items, strict=True):
        alone = rng(7, "degrade", *item)
        assert made.random(3).tolist() == alone.random(3).tolist()
        assert (made.standard_normal(5) == alone.standard_normal(5)).all()
    assert rngs(7, "degrade", []) == []


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**63 - 1])
def test_a_seed_is_spread_as_numpy_spreads_it(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "derive_seed", lambda *_: seed)
    for made in rngs(0, "any", [("item", number) for number in range(seeding.FEWEST)]):
        assert made.bit_generator.state == np.random.PCG64(seed).state
