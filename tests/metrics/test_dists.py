import numpy as np
import pytest
import torch
from torch import nn

from dists_weights import (
    COMPARED,
    PLACES,
    SIZES,
    WIDTHS,
    random_comparing,
    random_vgg,
)
from lpips_weights import pairs
from superres.core.errors import SuperresError
from superres.metrics.dists import CHANNELS, SMALLEST_PX, load_dists
from superres.metrics.perceptual import distances
from superres.metrics.weights import COMPARING, VGG
from support import GOLDEN

WANTED = np.load(GOLDEN / "dists_small.npz")
"""By the package dists-pytorch 0.1 in float64 with the same random weights."""


def loaded(folder):
    return load_dists(folder / VGG, folder / COMPARING)


@pytest.fixture(scope="module")
def network(dists_folder):
    return loaded(dists_folder)


@pytest.fixture(scope="module")
def picture_alone(dists_folder, tmp_path_factory):
    """A network in which the picture's own channels alone count: 3 to 1 for means."""
    weights = {name: torch.zeros(1, COMPARED, 1, 1) for name in ("alpha", "beta")}
    weights["alpha"][0, :3] = 0.75
    weights["beta"][0, :3] = 0.25
    folder = tmp_path_factory.mktemp("picture")
    torch.save(weights, folder / COMPARING)
    return load_dists(dists_folder / VGG, folder / COMPARING)


@pytest.mark.parametrize("size", SIZES)
def test_distances_equal_the_reference(network, size):
    found = distances(network, pairs(size))
    assert found == pytest.approx(WANTED["x".join(map(str, size))].tolist(), abs=2e-6, rel=0)


def flat(level):
    return np.full((20, 20, 3), level, np.uint8)


def test_flat_pictures_differ_in_their_means_alone(picture_alone):
    one, other = 51 / 255, 153 / 255
    means = (2 * one * other + 1e-6) / (one**2 + other**2 + 1e-6)
    found = distances(picture_alone, [(flat(51), flat(153))])
    assert found == pytest.approx([0.75 * (1 - means)], abs=1e-6)


def test_what_is_turned_upside_down_in_its_levels_has_the_opposite_structure(picture_alone):
    original = flat(100)
    original[:, ::2] = 110  # half of them each: the same mean, the opposite deviations
    opposite = 210 - original
    variance = (5 / 255) ** 2
    structure = (-2 * variance + 1e-6) / (2 * variance + 1e-6)
    found = distances(picture_alone, [(opposite, original)])
    assert found == pytest.approx([0.25 * (1 - structure)], abs=1e-5)


def test_weights_count_by_their_share(network, dists_folder, tmp_path):
    tripled = {name: 3 * tensor for name, tensor in random_comparing().items()}
    torch.save(tripled, tmp_path / COMPARING)
    again = load_dists(dists_folder / VGG, tmp_path / COMPARING)
    pictures = list(pairs(SIZES[0]))
    assert distances(again, pictures) == pytest.approx(distances(network, pictures), abs=1e-6)


def test_equal_pictures_have_no_distance_and_the_order_does_not_matter(network):
    restored, original = pairs(SIZES[0])[0]
    assert distances(network, [(original, original)]) == pytest.approx([0], abs=1e-6)
    both = distances(network, [(restored, original), (original, restored)])
    assert both[0] == pytest.approx(both[1], abs=1e-6)
    assert both[0] > 1e-3


def test_more_noise_is_farther(network):
    original = pairs(SIZES[0])[0][1] // 2 + 64
    noise = np.random.default_rng(0).normal(size=original.shape)
    noisy = [(original + noise * level).clip(0, 255).astype(np.uint8) for level in (2, 8, 32)]
    found = distances(network, [(picture, original) for picture in noisy])
    assert found == sorted(found) and found[0] < found[-1] / 2


def test_batches_do_not_show(network, monkeypatch):
    pictures = [tuple(pair) for size in (SIZES[0], SIZES[1]) for pair in pairs(size)]
    together = distances(network, pictures)
    monkeypatch.setattr(type(network), "batch_px", 1)
    assert distances(network, pictures) == pytest.approx(together, abs=1e-6)


def test_the_smallest_size_still_varies(network):
    (found,) = distances(network, pairs((SMALLEST_PX, SMALLEST_PX), count=1))
    assert 0 < found < 2


def test_the_network_is_as_published_and_does_not_train(network):
    layers = [layer for layer in network.features if isinstance(layer, nn.Conv2d)]
    assert tuple(layer.out_channels for layer in layers) == WIDTHS
    assert sum(CHANNELS) == COMPARED == 1475
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    assert set(network.state_dict()) == {*random_vgg(), "alpha", "beta"}
    assert {int(name.split(".")[1]) for name in random_vgg()} == set(PLACES)


def test_missing_surplus_and_misshapen_tensors_are_named(dists_folder, tmp_path):
    vgg = {name: torch.zeros(1) for name in random_vgg() if name != "features.28.bias"}
    torch.save(vgg | {"features.30.weight": torch.zeros(2)}, tmp_path / VGG)
    with pytest.raises(SuperresError) as caught:
        load_dists(tmp_path / VGG, dists_folder / COMPARING)
    text = str(caught.value)
    assert f"{VGG}: not the weights of torchvision's VGG-16: missing: features.28.bias" in text
    assert "surplus: features.30.weight" in text
    assert "features.0.weight (1,) instead of (64, 3, 3, 3)" in text
    torch.save({"alpha": torch.zeros(1, 1475, 1, 1)}, tmp_path / COMPARING)
    with pytest.raises(SuperresError, match=rf"{COMPARING}: not the weights of DISTS: .*: beta"):
        load_dists(dists_folder / VGG, tmp_path / COMPARING)
