"""What the small network sees, and how its cells' votes are put together."""

from __future__ import annotations

import torch

from superres.entropy.network import CELL, LEVELS, EntropyNetwork
from superres.entropy.network import _cosines as cosines


def network() -> EntropyNetwork:
    torch.manual_seed(0)
    return EntropyNetwork(2, 8).eval()


def test_the_cosines_are_orthonormal() -> None:
    basis = cosines().reshape(CELL**2, -1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(CELL**2), rtol=0, atol=1e-5)


def test_any_size_from_a_cell_on() -> None:
    for (height, width), cells in {(8, 8): 1, (8, 31): 3, (40, 17): 10}.items():
        said = network()(torch.rand(3, 3, height, width) * 2 - 1)
        assert said[:, 0].tolist() == [cells] * 3
        assert network().posterior(said).shape == (3, 2, LEVELS)


def without_context() -> EntropyNetwork:
    torch.manual_seed(0)
    return EntropyNetwork(2, 8, context=False).eval()


def said_by(votes: torch.Tensor, cells: int) -> torch.Tensor:
    return torch.cat([torch.full((len(votes), 1), float(cells)), votes.flatten(1)], dim=1)


def test_votes_become_probabilities_and_none_leaves_everything_open() -> None:
    votes = torch.zeros(1, 2, LEVELS)
    unsure = without_context().posterior(said_by(votes, 16)).exp()
    torch.testing.assert_close(unsure, torch.full_like(votes, 1 / LEVELS))
    votes[..., 3] = 8
    sure = without_context().posterior(said_by(votes, 16)).exp()
    torch.testing.assert_close(sure.sum(dim=-1), torch.ones(1, 2))
    torch.testing.assert_close(sure[..., 3] / sure[..., 4], torch.full((1, 2), 2.0).exp())


def test_four_times_as_many_cells_that_agree_say_it_twice_as_surely() -> None:
    vote = torch.randn(1, 2, LEVELS)
    once, more = (without_context().posterior(said_by(n * vote, n)) for n in (16, 64))
    torch.testing.assert_close(
        more[..., 5] - more[..., 2], 2 * (once[..., 5] - once[..., 2]), rtol=1e-4, atol=1e-4
    )


def test_parts_of_a_picture_add_up_whatever_their_order_and_size() -> None:
    parts = [torch.rand(1, 3, *size) * 2 - 1 for size in ((32, 32), (8, 32), (16, 24))]
    net = network()
    with torch.no_grad():
        forwards, backwards = (
            net.posterior(sum(net(part) for part in order)) for order in (parts, parts[::-1])
        )
        alone = net.posterior(net(parts[0]))
    torch.testing.assert_close(forwards, backwards, rtol=0, atol=1e-5)
    torch.testing.assert_close(forwards.exp().sum(dim=-1), torch.ones(1, 2))
    assert (forwards - alone).abs().max() > 1e-4


def test_context_sees_how_cells_differ_which_votes_do_not() -> None:
    net = network()
    with torch.no_grad():
        net.body[-1].weight.zero_()
        net.body[-1].bias.zero_()
        flat, mixed = torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
        mixed[..., 8:] = torch.rand(1, 3, 16, 8) * 2 - 1
        first, second = (net.posterior(net(low)) for low in (flat, mixed))
    assert (first - second).abs().max() > 1e-3


def test_a_network_that_is_never_asked_has_no_outputs() -> None:
    assert EntropyNetwork(0, 8).context is None
