from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from superres.diffusion.noise import ItemNoise, threefry


def word(value: int) -> torch.Tensor:
    return torch.tensor([value - 2**32 if value >= 2**31 else value], dtype=torch.int32)


@pytest.mark.parametrize(
    ("key", "counter", "rounds", "expected"),
    [
        ((0, 0), (0, 0), 20, (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, 20, (0x1CB996FC, 0xBB002BE7)),
        (
            (0x13198A2E, 0x03707344),
            (0x243F6A88, 0x85A308D3),
            20,
            (0xC4923A9C, 0x483DF7A0),
        ),
        (
            (0x13198A2E, 0x03707344),
            (0x243F6A88, 0x85A308D3),
            13,
            (0xBA3E4725, 0xF27D669E),
        ),
    ],
)
def test_the_generator_gives_the_published_words(
    key: tuple[int, int], counter: tuple[int, int], rounds: int, expected: tuple[int, int]
) -> None:
    """The known answers that come with the generator's publication."""
    words = threefry(
        (word(key[0]), word(key[1])), (word(counter[0]), word(counter[1])), rounds=rounds
    )
    assert tuple(int(part) & 0xFFFFFFFF for part in words) == expected


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=5, unique=True), st.data())
def test_an_items_noise_depends_on_its_seed_and_the_draw_alone(
    seeds: list[int], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(seeds) - 1))
    batch, alone = ItemNoise(seeds, (3, 4, 5)), ItemNoise([seeds[place]], (3, 4, 5))
    for _ in range(3):
        drawn = batch()
        assert torch.equal(drawn[place], alone()[0])
        assert all(not torch.equal(drawn[i], drawn[j]) for i in range(len(seeds)) for j in range(i))


def test_the_noise_is_standard_normal_and_uncorrelated() -> None:
    noise = ItemNoise(range(64), (3, 32, 32))
    one, two = noise(), noise()
    values = one.flatten().double().numpy()
    assert stats.kstest(values, "norm").pvalue > 1e-3
    count = one.numel()
    for a, b in (
        (one, two),  # draws
        (one[:-1], one[1:]),  # items
        (one[..., :-1], one[..., 1:]),  # neighbours
        (one.flatten(1)[:, :1536], one.flatten(1)[:, 1536:]),  # the halves that share a radius
        (one.flatten(1)[:, :1536] ** 2, one.flatten(1)[:, 1536:] ** 2),
    ):
        correlation = np.corrcoef(a.flatten().numpy(), b.flatten().numpy())[0, 1]
        assert abs(correlation) < 5 / np.sqrt(count / 2)


def test_odd_sizes_and_seeds_whose_high_bits_differ() -> None:
    noise = ItemNoise([1, 1 + 2**32, 2**62], (1, 3, 3))()
    assert noise.shape == (3, 1, 3, 3)
    assert noise.isfinite().all()
    assert not torch.equal(noise[0], noise[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_draws_the_same_noise() -> None:
    here, there = ItemNoise([5, 6], (3, 16, 16)), ItemNoise([5, 6], (3, 16, 16), "cuda")
    torch.testing.assert_close(here(), there().cpu(), rtol=1e-5, atol=1e-6)
