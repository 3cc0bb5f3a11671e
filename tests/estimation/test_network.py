"""What the small network sees, and how what its cells say is put together."""

from __future__ import annotations

import torch

from superres.estimation.network import CELL, StrengthNetwork, pooled
from superres.estimation.network import _cosines as cosines


def network() -> StrengthNetwork:
    torch.manual_seed(0)
    return StrengthNetwork(2, 8).eval()


def test_the_cosines_are_orthonormal() -> None:
    basis = cosines().reshape(CELL**2, -1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(CELL**2), rtol=0, atol=1e-5)


def test_any_size_from_a_cell_on() -> None:
    for height, width in ((8, 8), (8, 31), (40, 17)):
        precision, weighted = network()(torch.rand(3, 3, height, width) * 2 - 1)
        assert precision.shape == weighted.shape == (3, 2)
        assert (precision > 0).all()


def test_saying_nothing_leaves_the_middle_and_certainty_overrules_it() -> None:
    nothing = torch.zeros(1, 2)
    assert pooled(nothing, nothing).tolist() == [[0.5, 0.5]]
    sure = torch.full((1, 2), 1e6)
    torch.testing.assert_close(pooled(sure, sure * torch.tensor([0.1, 0.9])), torch.tensor(
        [[0.1, 0.9]]), rtol=0, atol=1e-4)  # fmt: skip


def test_more_of_the_same_says_it_more_surely() -> None:
    low = torch.rand(1, 3, 16, 16) * 2 - 1
    once, _ = network()(low)
    twice, _ = network()(torch.cat([low, low], dim=3))
    assert (twice > 1.5 * once).all()
