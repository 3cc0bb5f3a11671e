from __future__ import annotations

from superres.core.seeding import derive_seed, rng


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
