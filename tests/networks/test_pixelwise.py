"""What lies between convolutions: fewer passes without gradients, the same bits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from superres.networks.pixelwise import added, beside, modulated_norm, shuffled_onto


def picture(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(shape, generator=generator)
    return drawn.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("channels", [5, 48, 128])
def test_a_norm_in_one_pass_has_the_same_bits(batch: int, channels: int) -> None:
    x = 3 * picture(batch, channels, 14, 11) + 1
    scale, shift = (picture(batch, channels, 1, 1, seed=seed) for seed in (1, 2))
    plainly = modulated_norm(x.requires_grad_(), scale, shift, eps=1e-4)
    normed = F.layer_norm(x.permute(0, 2, 3, 1), (channels,), eps=1e-4).permute(0, 3, 1, 2)
    assert torch.equal(plainly, torch.addcmul(shift, normed, 1 + scale))
    with torch.no_grad():
        at_once = modulated_norm(x, scale, shift, eps=1e-4)
    assert torch.equal(at_once, plainly)
    assert at_once.is_contiguous(memory_format=torch.channels_last)


def test_a_norm_of_rounded_features_is_rounded_as_in_training() -> None:
    x = picture(1, 8, 6, 6).bfloat16()
    scale, shift = (picture(1, 8, 1, 1, seed=seed).bfloat16() for seed in (1, 2))
    plainly = modulated_norm(x, scale.requires_grad_(), shift, eps=1e-4)
    with torch.no_grad():
        assert torch.equal(modulated_norm(x, scale, shift, eps=1e-4), plainly)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_shuffling_onto_a_picture_has_the_same_bits(batch: int, kind: torch.dtype) -> None:
    convolution = nn.Conv2d(12, 4 * 6, 1).to(kind, memory_format=torch.channels_last)
    fine, coarse = picture(batch, 6, 10, 14), picture(batch, 12, 5, 7, seed=1).to(kind)
    plainly = shuffled_onto(fine, coarse, convolution)
    assert torch.equal(plainly, fine + F.pixel_shuffle(convolution(coarse), 2))
    with torch.no_grad():
        kept = fine.clone(memory_format=torch.preserve_format)
        assert torch.equal(shuffled_onto(kept, coarse, convolution), plainly)
        assert torch.equal(kept, plainly)  # overwritten: nothing is moved but the sum
        assert torch.equal(shuffled_onto(fine.contiguous(), coarse, convolution), plainly)


def test_a_sum_overwrites_without_gradients_alone() -> None:
    x, other = picture(1, 2, 4, 4), picture(1, 2, 4, 4, seed=1)
    before = x.clone()
    total = added(x, other)
    assert torch.equal(x, before)
    with torch.no_grad():
        assert added(x, other) is x
        assert torch.equal(x, total)
        less = before.bfloat16()
        assert added(less, other).dtype == torch.float32


@pytest.mark.parametrize("more", [torch.float32, torch.bfloat16])
def test_channels_beside_each_other(more: torch.dtype) -> None:
    x, other = picture(2, 3, 4, 5), picture(2, 1, 4, 5, seed=1).to(more)
    with torch.no_grad():
        joined = beside(x, other)
    assert torch.equal(joined, torch.cat([x, other], 1))
    assert joined.is_contiguous(memory_format=torch.channels_last) or more != x.dtype
