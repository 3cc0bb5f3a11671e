import numpy as np
import pytest
import torch

from inception_weights import random_weights, shapes
from superres.core.errors import SuperresError
from superres.metrics.inception import (
    LAYERS,
    Inception,
    load_inception,
    prepare,
    resize_like_tensorflow1,
)
from superres.metrics.inception_blocks import average
from support import GOLDEN

WANTED = np.load(GOLDEN / "inception_small.npz")


@pytest.fixture(scope="module")
def network(inception_file):
    return load_inception(inception_file)


def test_tensors_have_the_published_names_and_shapes():
    with torch.device("meta"):
        found = {name: tuple(t.shape) for name, t in Inception().state_dict().items()}
    assert found == shapes()[1]


@pytest.mark.parametrize("layer", LAYERS)
def test_features_equal_the_reference(network, layer):
    picture = torch.from_numpy(WANTED["img_128x96"])
    with torch.inference_mode():
        found = network(prepare(picture), (layer,))[layer].numpy()
    assert list(found.shape) == [1, {"logits_unbiased": 1008}.get(layer) or int(layer)]
    assert np.abs(found - WANTED[f"img_128x96_f{layer}_f32"]).max() < 1e-4


def test_only_what_is_asked_for_is_returned(network):
    with torch.inference_mode():
        assert list(network(torch.zeros(1, 3, 299, 299), ("192",))) == ["192"]


def test_resizing_equals_the_reference():
    picture = torch.from_numpy(WANTED["img_128x96"]).float()
    found = resize_like_tensorflow1(picture, (299, 299))[..., ::15, ::15].numpy()
    assert np.abs(found - WANTED["resized_128x96"]).max() < 1e-4


def test_shrinking_picks_pixels_without_smoothing():
    picture = torch.rand(1, 3, 12, 20)
    assert torch.equal(resize_like_tensorflow1(picture, (4, 5)), picture[..., ::3, ::4])


def test_enlarging_has_no_half_pixel_offset():
    row = torch.tensor([0.0, 10.0, 20.0]).reshape(1, 1, 1, 3)
    found = resize_like_tensorflow1(row, (1, 6)).flatten().tolist()
    assert found == [0, 5, 10, 15, 20, 20]


def test_pixels_are_centred_at_128():
    levels = torch.tensor([0, 128, 255], dtype=torch.uint8).reshape(3, 1, 1, 1)
    flat = levels.expand(3, 3, 8, 8)
    assert prepare(flat)[:, 0, 5, 7].tolist() == [-1, 0, 127 / 128]


def test_averages_at_the_border_are_of_the_pixels_that_exist():
    assert torch.equal(average(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))


def test_the_last_block_pools_by_the_maximum():
    with torch.device("meta"):
        network = Inception()
    assert network.Mixed_7c.maximum and not network.Mixed_7b.maximum


def spoilt(tmp_path, change):
    state = random_weights()
    change(state)
    torch.save(state, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def test_missing_surplus_and_misshapen_tensors_are_named(tmp_path):
    def change(state):
        del state["fc.bias"]
        state["AuxLogits.fc.bias"] = torch.zeros(3)
        state["fc.weight"] = torch.zeros(1000, 2048)

    with pytest.raises(SuperresError) as caught:
        load_inception(spoilt(tmp_path, change))
    text = str(caught.value)
    assert "missing: fc.bias" in text and "surplus: AuxLogits.fc.bias" in text
    assert "fc.weight (1000, 2048) instead of (1008, 2048)" in text


def test_many_missing_tensors_are_counted(tmp_path):
    with pytest.raises(SuperresError, match=r"missing: .* and \d+ more"):
        load_inception(spoilt(tmp_path, lambda state: state.clear()))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not a file of weights"), (b"<html>not found</html>", "not a file of weights")],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(SuperresError, match=message):
        load_inception(path)
    path.unlink()
    with pytest.raises(SuperresError, match="not found"):
        load_inception(path)


class Payload:
    def __reduce__(self):
        return print, ("code of a file of weights ran",)


def test_code_in_a_file_is_not_run(tmp_path, capsys):
    torch.save({"fc.bias": Payload()}, tmp_path / "weights.pth")
    with pytest.raises(SuperresError, match="not a file of weights"):
        load_inception(tmp_path / "weights.pth")
    torch.save([1, 2], tmp_path / "weights.pth")
    with pytest.raises(SuperresError, match="state dict"):
        load_inception(tmp_path / "weights.pth")
    assert capsys.readouterr().out == ""
