"""What the small network sees, and how its cells' votes are put together."""

from __future__ import annotations

import torch

from superres.entropy.network import CELL, LEVELS, EntropyNetwork, cells_of, posterior
from superres.entropy.network import _cosines as cosines


def network() -> EntropyNetwork:
    torch.manual_seed(0)
    return EntropyNetwork(2, 8).eval()


def test_the_cosines_are_orthonormal() -> None:
    basis = cosines().reshape(CELL**2, -1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(CELL**2), rtol=0, atol=1e-5)


def test_any_size_from_a_cell_on() -> None:
    for (height, width), cells in {(8, 8): 1, (8, 31): 3, (40, 17): 10}.items():
        low = torch.rand(3, 3, height, width) * 2 - 1
        assert network()(low).shape == (3, 2, LEVELS)
        assert cells_of(low) == cells


def test_votes_become_probabilities_and_none_leaves_everything_open() -> None:
    votes = torch.zeros(1, 2, LEVELS)
    torch.testing.assert_close(posterior(votes, 16).exp(), torch.full_like(votes, 1 / LEVELS))
    votes[..., 3] = 8
    sure = posterior(votes, 16).exp()
    torch.testing.assert_close(sure.sum(dim=-1), torch.ones(1, 2))
    torch.testing.assert_close(sure[..., 3] / sure[..., 4], torch.full((1, 2), 2.0).exp())


def test_four_times_as_many_cells_that_agree_say_it_twice_as_surely() -> None:
    vote = torch.randn(1, 2, LEVELS)
    once, more = posterior(16 * vote, 16), posterior(64 * vote, 64)
    torch.testing.assert_close(
        more[..., 5] - more[..., 2], 2 * (once[..., 5] - once[..., 2]), rtol=1e-4, atol=1e-4
    )
