import numpy as np
import pytest
import torch
from torch import nn

from lpips_weights import SIZES, pairs, random_alexnet, random_linear, write_weights
from superres.core.errors import SuperresError
from superres.metrics.lpips import CHANNELS, SMALLEST_PX, load_lpips, prepare
from superres.metrics.perceptual import distances
from superres.metrics.weights import ALEXNET, LINEAR
from support import GOLDEN

WANTED = np.load(GOLDEN / "lpips_small.npz")
"""By the package lpips 0.1.4 (net="alex", version="0.1") with the same random weights."""


def loaded(folder):
    return load_lpips(folder / ALEXNET, folder / LINEAR)


@pytest.fixture(scope="module")
def network(lpips_folder):
    return loaded(lpips_folder)


def measured(network, *pictures):
    return list(distances(network, pictures))


@pytest.mark.parametrize("size", SIZES)
def test_distances_equal_the_reference(network, size):
    found = measured(network, *pairs(size))
    assert found == pytest.approx(WANTED["x".join(map(str, size))].tolist(), abs=1e-6, rel=0)


def test_pictures_are_scaled_and_shifted_by_channel():
    levels = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1).expand(2, 3, 1, 1)
    black = [(-1 + 0.03) / 0.458, (-1 + 0.088) / 0.448, (-1 + 0.188) / 0.45]
    white = [(1 + 0.03) / 0.458, (1 + 0.088) / 0.448, (1 + 0.188) / 0.45]
    assert prepare(levels).flatten().tolist() == pytest.approx([*black, *white])


def flat(*color):
    return np.full((40, 52, 3), color, np.uint8)


def test_features_without_anything_in_common_are_as_far_as_unit_vectors_can_be(tmp_path):
    # One feature sees red and one sees blue: the vectors are (1, 0) and (0, 1) everywhere.
    alexnet = {name: torch.zeros_like(tensor) for name, tensor in random_alexnet().items()}
    alexnet["features.0.weight"][0, 0, 5, 5] = 1
    alexnet["features.0.weight"][1, 2, 5, 5] = 1
    linear = {name: torch.zeros_like(tensor) for name, tensor in random_linear().items()}
    linear["lin0.model.1.weight"][0, :2] = torch.tensor([0.25, 0.5]).reshape(2, 1, 1)
    network = loaded(write_weights(tmp_path, alexnet, linear))
    red, blue, violet = flat(255, 0, 0), flat(0, 0, 255), flat(255, 0, 255)
    assert measured(network, (red, blue)) == pytest.approx([0.75])
    x, y = np.array([1.03 / 0.458, 1.188 / 0.45]) / np.hypot(1.03 / 0.458, 1.188 / 0.45)
    expected = 0.25 * (1 - x) ** 2 + 0.5 * y**2
    assert measured(network, (violet, red)) == pytest.approx([expected])


def test_features_that_are_all_zero_divide_nothing_by_zero(tmp_path):
    alexnet = {name: torch.zeros_like(tensor) for name, tensor in random_alexnet().items()}
    network = loaded(write_weights(tmp_path, alexnet))
    assert measured(network, (flat(255, 0, 0), flat(0, 0, 255))) == [0]


def test_equal_pictures_have_no_distance(network):
    for size in SIZES:
        assert measured(network, *((one, one) for one, _ in pairs(size))) == [0, 0]


def test_the_order_does_not_matter(network):
    restored, original = pairs((64, 64))[0]
    assert measured(network, (restored, original)) == measured(network, (original, restored))


def test_more_noise_is_farther(network):
    original = pairs((64, 64))[0][1] // 2 + 64
    noise = np.random.default_rng(0).normal(size=original.shape)
    noisy = [(original + noise * level).clip(0, 255).astype(np.uint8) for level in (0, 2, 6, 18)]
    found = measured(network, *((picture, original) for picture in noisy))
    assert found[0] == 0 and found == sorted(set(found))


def test_sizes_may_change_and_batches_do_not_show(network, monkeypatch):
    pictures = [tuple(pair) for size in (*SIZES, SIZES[0]) for pair in pairs(size)]
    together = measured(network, *pictures)
    assert together[:2] == pytest.approx(together[-2:])
    assert measured(network, *pictures[2:4]) == pytest.approx(together[2:4], abs=1e-6)
    sizes = []
    forward = network.forward
    monkeypatch.setattr(network, "forward", lambda *p: (sizes.append(len(p[0])), forward(*p))[1])
    monkeypatch.setattr(type(network), "batch_px", 64 * 64 + 1)
    assert measured(network, *pictures) == pytest.approx(together, abs=1e-6)
    assert sizes == [2, 1, 1, 1, 1, 2]  # four of 32 x 32 px would fit, but two follow each other


def test_shapes_that_differ_are_refused(network):
    with pytest.raises(ValueError, match="shapes differ"):
        measured(network, (flat(0, 0, 0), flat(0, 0, 0)[1:]))


def test_the_smallest_size_is_the_smallest(network):
    assert len(measured(network, *pairs((SMALLEST_PX, SMALLEST_PX)))) == 2
    with pytest.raises(RuntimeError, match="too small"):
        measured(network, *pairs((SMALLEST_PX - 1, 64)))


def test_the_network_is_as_published_and_does_not_train(network):
    layers = [layer for layer in network.features if isinstance(layer, nn.Conv2d)]
    assert tuple(layer.out_channels for layer in layers) == CHANNELS
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    assert set(network.state_dict()) == {*random_alexnet(), *random_linear()}


def test_missing_surplus_and_misshapen_tensors_are_named(tmp_path):
    alexnet = random_alexnet()
    del alexnet["features.3.bias"]
    alexnet["features.12.weight"] = torch.zeros(2)
    alexnet["features.8.bias"] = torch.zeros(3)
    with pytest.raises(SuperresError) as caught:
        loaded(write_weights(tmp_path, alexnet))
    text = str(caught.value)
    assert f"{ALEXNET}: not the weights of torchvision's AlexNet: missing: features.3.bias" in text
    assert (
        "surplus: features.12.weight" in text and "features.8.bias (3,) instead of (256,)" in text
    )
    linear = random_linear()
    del linear["lin4.model.1.weight"]
    linear["lin5.model.1.weight"] = torch.zeros(1, 512, 1, 1)
    with pytest.raises(SuperresError) as caught:
        loaded(write_weights(tmp_path, linear=linear))
    text = str(caught.value)
    assert f"{LINEAR}: not the weights of LPIPS's linear layers" in text
    assert "missing: lin4.model.1.weight" in text and "surplus: lin5.model.1.weight" in text


class Payload:
    def __reduce__(self):
        return print, ("code of a file of weights ran",)


@pytest.mark.parametrize("name", [ALEXNET, LINEAR])
def test_other_files_are_refused_and_code_in_them_is_not_run(tmp_path, name, capsys):
    folder = write_weights(tmp_path)
    (folder / name).write_bytes(b"<html>not found</html>")
    with pytest.raises(SuperresError, match=rf"{name}: is no file of tensors"):
        loaded(folder)
    torch.save({"lin0.model.1.weight": Payload()}, folder / name)
    with pytest.raises(SuperresError, match=rf"{name}: would have .* refused"):
        loaded(folder)
    assert capsys.readouterr().out == ""
    (folder / name).unlink()
    with pytest.raises(SuperresError, match=rf"{name}: no such file"):
        loaded(folder)
