"""What samplers hold, counted by the allocator in pictures of the batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.profiler import profile, record_function

from superres.diffusion import GaussianDiffusion, make_betas
from superres.diffusion.noise import ItemNoise
from superres.sampling import SAMPLERS, sample
from superres.sampling.samplers import evaluations

SHAPE = (4, 3, 32, 32)
PICTURES = 4 * 4 * 3 * 32 * 32
"""Bytes of the batch's pictures."""


def allocations(sampler: str) -> tuple[list[float], float]:
    """Return what is held at each evaluation and the most that is at any time, in pictures."""
    diffusion = GaussianDiffusion(make_betas("linear", 100))
    said = torch.zeros(SHAPE[0], 6, *SHAPE[2:])  # the network's own: made before counting begins

    def network(x: Tensor, t: Tensor) -> Tensor:
        with record_function("evaluation"):
            return said

    with profile(profile_memory=True) as seen:
        noise = ItemNoise(list(range(SHAPE[0])), SHAPE[1:])
        sample(diffusion, network, SHAPE, draw=noise, sampler=sampler, steps=5, eta=0.5)
    assert seen.profiler is not None
    events = seen.profiler.kineto_results.events()
    held, most, at_evaluations = 0.0, 0.0, []
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes() / PICTURES
            most = max(most, held)
        elif event.name() == "evaluation":
            at_evaluations.append(held)
    return at_evaluations, most


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_beside_the_network_x_and_what_the_samplers_row_says_are_held(sampler: str) -> None:
    held, most = allocations(sampler)
    pictures = 1 + SAMPLERS[sampler].held
    assert pictures <= 3
    assert len(held) == evaluations(sampler, 5)
    assert pictures - 0.01 < max(held) < pictures + 0.3  # numbers and tables beside the pictures
    # Between evaluations, when the network's own memory is free, a few more for moments.
    assert most < 6.5
