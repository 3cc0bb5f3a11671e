"""The network of two parts: its mean, its deviations, its denoiser."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from superres.networks.config import MeanDenoiserParams
from superres.networks.mean_denoiser import (
    FIRST_DEVIATION,
    LARGEST_DEVIATION,
    LEAST_DEVIATION,
    MeanDenoiser,
    interpolated,
)
from superres.networks.protocol import Network


def params(**changes: object) -> MeanDenoiserParams:
    values = {
        "kind": "mean_denoiser",
        "mean_channels": 8,
        "mean_blocks": [1, 1, 1],
        "denoiser_channels": 4,
        "denoiser_blocks": [1, 1, 1],
    }
    return MeanDenoiserParams.model_validate({**values, **changes})


def network(scale: int = 2, entropies: int = 2, trained: bool = True, **changes: object):
    """Return a network; a trained one says something, where a new one adds nothing."""
    torch.manual_seed(0)
    made = MeanDenoiser(params(**changes), scale, entropies)
    if trained:
        with torch.no_grad():
            for weight in made.parameters():
                weight.add_(0.05 * torch.randn_like(weight))
    return made.eval()


def inputs(height: int, width: int, batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    low = torch.rand(batch, 3, height, width, generator=generator) * 2 - 1
    return low, torch.rand(batch, 2, generator=generator)


def test_it_is_a_network() -> None:
    assert isinstance(network(), Network)


def test_a_new_network_interpolates_and_predicts_nothing() -> None:
    low, entropy = inputs(16, 16)
    made = network(trained=False)
    said = made.prepare(low, (32, 32), entropy)
    assert torch.equal(said.mean, interpolated(low, 2))
    assert torch.allclose(said.log_deviation.exp(), torch.tensor(FIRST_DEVIATION))
    assert not made(torch.randn(2, 1, 32, 32), torch.zeros(2), *said).any()


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("size", [(8, 12), (7, 5), (1, 3)])
def test_any_size_and_scale(scale: int, size: tuple[int, int]) -> None:
    low, entropy = inputs(*size)
    made = network(scale)
    high = size[0] * scale, size[1] * scale
    said = made.prepare(low, high, entropy)
    assert said.mean.shape == (2, 3, *high)
    assert said.log_deviation.shape == (2, 1, *high)
    deviation = said.log_deviation.exp()
    assert (deviation > 0.999 * LEAST_DEVIATION).all()
    assert (deviation < 1.001 * LARGEST_DEVIATION).all()
    assert made(torch.randn(2, 1, *high), torch.zeros(2), *said).shape == (2, 1, *high)


def test_both_parts_depend_on_the_entropies_and_the_denoiser_on_the_noise() -> None:
    low, entropy = inputs(8, 8)
    made = network()
    x = torch.randn(2, 1, 16, 16)
    said, other = (made.prepare(low, (16, 16), e) for e in (entropy, 1 - entropy))
    assert not torch.allclose(said.mean, other.mean)
    again = said._replace(entropy=other.entropy)
    assert not torch.allclose(made(x, torch.zeros(2), *said), made(x, torch.zeros(2), *again))
    assert not torch.allclose(made(x, torch.zeros(2), *said), made(x, torch.ones(2), *said))


def test_the_denoiser_does_not_bend_the_mean() -> None:
    low, entropy = inputs(8, 8)
    made = network()
    said = made.prepare(low, (16, 16), entropy)
    made(torch.randn(2, 1, 16, 16), torch.zeros(2), *said).square().sum().backward()
    assert all(weight.grad is None for weight in made.mean.parameters())
    assert all(weight.grad is not None for weight in made.denoiser.parameters())


def test_deviations_do_not_bend_the_features() -> None:
    low, entropy = inputs(8, 8)
    made = network()
    made.prepare(low, (16, 16), entropy).log_deviation.sum().backward()
    assert made.mean.head[0].weight.grad is not None
    assert made.mean.stem.weight.grad is None


def test_activations_can_be_recomputed_to_the_same_gradients() -> None:
    low, entropy = inputs(8, 8)
    gradients = []
    for recomputed in (False, True):
        made = network()
        made.activation_checkpointing = recomputed
        said = made.prepare(low, (16, 16), entropy)
        output = made(torch.ones(2, 1, 16, 16), torch.zeros(2), *said)
        (said.mean.sum() + output.sum()).backward()
        gradients.append([w.grad for w in made.parameters() if w.grad is not None])
    assert gradients[0] and all(map(torch.equal, *gradients))


def test_what_is_wrong_is_named() -> None:
    low, entropy = inputs(8, 8)
    with pytest.raises(ValueError, match=r"expected entropies of shape \(2, 2\), got \(2, 1\)"):
        network().prepare(low, (16, 16), entropy[:, :1])
    with pytest.raises(ValueError, match="not class-conditional"):
        network().prepare(low, (16, 16), entropy, torch.zeros(2, dtype=torch.int64))


def test_a_network_without_entropies() -> None:
    low, _ = inputs(8, 8)
    made = network(entropies=0)
    said = made.prepare(low, (16, 16), torch.zeros(2, 0))
    assert made(torch.randn(2, 1, 16, 16), torch.zeros(2), *said).isfinite().all()
