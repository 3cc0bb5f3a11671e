from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from superres.core.errors import SuperresError
from superres.degradation.dataset import PairSet
from superres.degradation.degrade import degrade
from superres.training.config import DropParams
from superres.training.data import Batches, FreshCorruptions, validation_batch

DROP = DropParams(low=0.25, entropies=0.5)


def test_positions_decide_everything(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    device = torch.device("cpu")
    batch = Batches(pairs, 0, DROP).at(3, 4, device)
    late = Batches(pairs, 0, DROP).at(5, 2, device)
    for entire, part in zip(batch, late, strict=True):
        assert torch.equal(entire[2:], part)
    other = Batches(pairs, 1, DROP).at(3, 4, device)
    assert not torch.equal(batch.noise, other.noise)
    assert batch.high.shape == (4, 3, 32, 32)
    assert batch.low.shape == (4, 3, 16, 16)


def test_every_pair_comes_once_per_epoch(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    batches = Batches(pairs, 0, DROP)
    for epoch in (0, 1):
        items = [batches._item(epoch * len(pairs) + place) for place in range(len(pairs))]
        assert sorted(items) == list(range(len(pairs)))


def test_high_and_low_are_turned_alike(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    batch = Batches(pairs, 0, DROP).at(0, 16, torch.device("cpu"))
    small = torch.nn.functional.avg_pool2d(batch.high, 2)
    for high, low in zip(small, batch.low, strict=True):
        turned = torch.rot90(low, 1, (1, 2))
        assert (high - low).square().mean() < (high - turned).square().mean()


def test_conditions_are_withheld_as_often_as_asked_each_on_its_own(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    batch = Batches(pairs, 0, DROP).at(0, 600, torch.device("cpu"))
    low, entropies = batch.drop_low.double(), batch.drop_entropies.double()
    assert low.mean().item() == pytest.approx(0.25, abs=0.06)
    assert entropies.mean().item() == pytest.approx(0.5, abs=0.06)
    assert (low * entropies).mean().item() == pytest.approx(0.125, abs=0.05)
    assert ((batch.uniform >= 0) & (batch.uniform < 1)).all()
    never = Batches(pairs, 0, DropParams(low=0.0, entropies=0.0)).at(0, 50, torch.device("cpu"))
    assert not never.drop_low.any()
    assert not never.drop_entropies.any()


def test_validation_batch_is_fixed(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "val")
    one, two = (validation_batch(pairs, pairs.spread(4), torch.device("cpu")) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert len(one.high) == 4
    assert not one.drop_low.any()


def test_fresh_corruptions_replace_stored_inputs_at_their_positions(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    device = torch.device("cpu")
    stored = Batches(pairs, 0, DROP).at(0, 64, device)
    half, always = (FreshCorruptions(pairs.degradation, share, 0) for share in (0.5, 1.0))
    some = Batches(pairs, 0, DROP, half).at(0, 64, device)
    entirely = Batches(pairs, 0, DROP, always).at(0, 64, device)
    same = [torch.equal(one, other) for one, other in zip(stored.low, some.low, strict=True)]
    assert 0.3 < np.mean(same) < 0.7
    for place, kept in enumerate(same):
        expected = stored if kept else entirely
        assert torch.equal(some.low[place], expected.low[place])
        assert torch.equal(some.entropy[place], expected.entropy[place])
    for one, other in zip(stored[3:], entirely[3:], strict=True):
        assert torch.equal(one, other)  # nothing else changes
    assert torch.equal(stored.high, entirely.high)
    late = Batches(pairs, 0, DROP, always).at(40, 24, device)
    assert torch.equal(late.low, entirely.low[40:])


def test_fresh_corruptions_are_those_of_the_pairs(project: Path) -> None:
    """The entropies given are those applied: with them, the same function makes the same input."""
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    count, seed = len(pairs), 3
    highs = [pairs.high_at(item) for item in range(count)]
    lows = [pairs.low_at(item) for item in range(count)]
    entropies = pairs.entropies(range(count))
    FreshCorruptions(pairs.degradation, 1.0, seed)(range(count), highs, lows, entropies)
    for place in range(count):
        given = {
            name: round(float(strength), 6)
            for name, strength in zip(pairs.entropy_names, entropies[place], strict=True)
        }
        item = f"fresh-{seed}-{place}"
        again, applied = degrade(pairs.degradation, highs[place], given, item)
        assert np.array_equal(lows[place], again)
        assert applied == given
    columns = entropies.T
    for step, drawn in zip(pairs.degradation.corruptions, columns, strict=True):
        assert step.low <= drawn.min() < drawn.max() <= step.high
    assert len(np.unique(columns[0])) == count  # a tile seen again is corrupted otherwise


def test_tiles_are_read_from_their_shards_without_a_copy(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    for item in (0, len(pairs) - 1):
        for view, stacked in (
            (pairs.high_at(item), pairs.high([item])[0]),
            (pairs.low_at(item), pairs.low([item])[0]),
        ):
            owner = view
            while isinstance(owner.base, np.ndarray):
                owner = owner.base
            assert isinstance(owner, np.memmap)
            assert not view.flags.owndata
            assert np.array_equal(view, stacked)


def test_recolored_tiles_have_other_colours_and_inputs_made_of_them(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    device = torch.device("cpu")
    plain, coloured = (
        Batches(pairs, 0, DROP, FreshCorruptions(pairs.degradation, 1.0, 0, share)).at(
            0, 64, device
        )
        for share in (0.0, 0.5)
    )
    changed = (plain.high != coloured.high).flatten(1).any(1)
    assert 16 < changed.sum() < 48
    assert torch.equal(changed, (plain.low != coloured.low).flatten(1).any(1))
    assert torch.equal(plain.entropy, coloured.entropy)
    # What the input shows is the tile that it was made of.
    means = [tiles.mean((2, 3)) for tiles in (coloured.high, coloured.low)]
    assert (means[0] - means[1]).abs().max() < 0.1


def test_a_crop_is_a_part_of_a_tile_cut_after_its_corruption(project: Path) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    fresh = FreshCorruptions(pairs.degradation, 1.0, 0)
    whole = Batches(pairs, 0, DROP, fresh).read(0, 32)
    parts = Batches(pairs, 0, DROP, fresh, crop=16).read(0, 32)
    assert parts.high.shape == (32, 16, 16, 3)
    assert parts.low.shape == (32, 8, 8, 3)
    assert torch.equal(whole.entropy, parts.entropy)
    # the same turn of the same tile: its quarters, since a block of JPEG is half of an input
    places = []
    for high, low, high_part, low_part in zip(
        whole.high, whole.low, parts.high, parts.low, strict=True
    ):
        found = [
            (top, left)
            for top in (0, 8)
            for left in (0, 8)
            if torch.equal(low[top : top + 8, left : left + 8], low_part)
            and torch.equal(high[2 * top : 2 * top + 16, 2 * left : 2 * left + 16], high_part)
        ]
        assert len(found) == 1
        places += found
    assert len(set(places)) == 4
    late = Batches(pairs, 0, DROP, fresh, crop=16).read(20, 12)
    assert torch.equal(late.low, parts.low[20:])


@pytest.mark.parametrize("crop", [15, 64])
def test_a_crop_that_tiles_do_not_have_is_refused(project: Path, crop: int) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    with pytest.raises(
        SuperresError, match=f"train.crop: .* multiple of .* 2 .* 32 px, got {crop}"
    ):
        Batches(pairs, 0, DROP, crop=crop)
