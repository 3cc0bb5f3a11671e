from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from superres.core.distributed import Processes
from superres.core.errors import SuperresError
from superres.core.hashing import sha256_of
from superres.core.storage import ShardWriter, write_csv, write_json
from superres.evaluation.reference import read_reference, write_reference
from superres.metrics.config import FeaturesParams, SwdParams
from superres.metrics.features import describe_pictures
from superres.metrics.inception import load_inception
from superres.metrics.swd import descriptors

SWD = SwdParams(patches_per_tile=8, max_patches=1000, projections=16, seed=0)
PARAMS = FeaturesParams(swd=SWD, inception="auto")
OFF = FeaturesParams(swd=SWD, inception="off")
IDS = ["t0", "t1", "t2"]


@pytest.fixture(autouse=True)
def record(tmp_path, monkeypatch):
    """A record in the folder that stages run in."""
    monkeypatch.chdir(tmp_path)
    write_json("weights.json", {"inception": None})


@pytest.fixture
def tiles(tmp_path):
    folder = tmp_path / "tiles"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    rows = []
    for split, numbers in (("test", (0, 1, 2)), ("train", (3,))):
        with ShardWriter(folder, split) as writer:
            for number in numbers:
                shard, index = writer.append(pixels[number])
                rows.append({"id": f"t{number}", "split": split, "shard": shard, "index": index})
    write_csv(folder / "manifest.csv", pd.DataFrame(rows))
    return folder, pixels


def test_reference_holds_the_descriptors_of_test_tiles(tiles, tmp_path):
    folder, pixels = tiles
    assert write_reference(PARAMS, folder, tmp_path / "reference") == 3
    ids = ["t0", "t1", "t2"]
    found = read_reference(PARAMS, ids[::-1], tmp_path / "reference").levels
    assert list(found) == [32, 16]
    for level, expected in zip(
        found.values(), descriptors(pixels[:3], ids, PARAMS.swd), strict=True
    ):
        assert np.array_equal(level, expected)


def test_the_same_tiles_give_the_same_bytes(tiles, tmp_path):
    folder, _ = tiles
    for name in ("one", "two"):
        write_reference(PARAMS, folder, tmp_path / name)
    files = sorted((tmp_path / "one").iterdir())
    assert [file.name for file in files] == ["reference.json", "swd-0016.npy", "swd-0032.npy"]
    assert all(f.read_bytes() == (tmp_path / "two" / f.name).read_bytes() for f in files)


def test_a_reference_of_other_tiles_or_params_is_refused(tiles, tmp_path):
    write_reference(PARAMS, tiles[0], tmp_path / "reference")
    with pytest.raises(SuperresError, match=r"reference\.json.*ids.*run the stage reference"):
        read_reference(PARAMS, ["t0", "t1", "t9"], tmp_path / "reference")
    other = PARAMS.model_copy(update={"swd": SWD.model_copy(update={"seed": 1})})
    with pytest.raises(SuperresError, match=r"reference\.json.*swd"):
        read_reference(other, ["t0", "t1", "t2"], tmp_path / "reference")
    with pytest.raises(SuperresError, match=r"reference\.json.*inception"):
        read_reference(OFF, IDS, tmp_path / "reference")


@pytest.mark.parametrize("name", ["reference.json", "swd-0016.npy"])
def test_a_missing_or_broken_file_is_named(tiles, tmp_path, name):
    write_reference(PARAMS, tiles[0], tmp_path / "reference")
    path = tmp_path / "reference" / name
    for spoil in (lambda: path.write_bytes(b"{"), path.unlink):
        spoil()
        with pytest.raises(SuperresError, match=name):
            read_reference(PARAMS, ["t0", "t1", "t2"], tmp_path / "reference")


def test_no_tiles_at_all(tmp_path):
    with pytest.raises(SuperresError, match=r"manifest\.csv: not found"):
        write_reference(PARAMS, tmp_path / "tiles", tmp_path / "reference")
    assert not (tmp_path / "reference").exists()


def test_without_weights_there_are_no_features_and_the_reason_is_kept(tiles, tmp_path, capsys):
    write_reference(PARAMS, tiles[0], tmp_path / "reference")
    found = read_reference(PARAMS, IDS, tmp_path / "reference")
    assert found.features is None and found.inception == {"state": "missing"}
    assert "By hand: get https://" in capsys.readouterr().err


def test_off_asks_for_no_weights(tiles, tmp_path, monkeypatch):
    monkeypatch.setenv("SUPERRES_INCEPTION", "/absent.pth")
    write_reference(OFF, tiles[0], tmp_path / "reference")
    found = read_reference(OFF, IDS, tmp_path / "reference")
    assert found.features is None and found.inception == {"state": "off"}
    with pytest.raises(SuperresError, match=r"SUPERRES_INCEPTION: /absent\.pth"):
        write_reference(PARAMS, tiles[0], tmp_path / "reference")


@pytest.fixture
def described(tiles, tmp_path, monkeypatch, inception_file):
    monkeypatch.setenv("SUPERRES_INCEPTION", str(inception_file))
    write_reference(PARAMS, tiles[0], tmp_path / "reference")
    return tmp_path / "reference"


def test_features_of_test_tiles_with_what_made_them(described, tiles, inception_file):
    found = read_reference(PARAMS, IDS, described)
    network, alone = load_inception(inception_file), Processes(0, 1, torch.device("cpu"))
    expected = describe_pictures(network, tiles[1].__getitem__, IDS, alone, lambda _: None)
    assert np.array_equal(found.features.held, expected.held)
    assert np.allclose(found.features.covariance, expected.covariance, rtol=1e-9, atol=1e-9)
    assert found.inception["state"] == "there"
    assert found.inception["sha256"] == sha256_of(inception_file)
    assert "TensorFlow-1 bilinear to 299 x 299" in found.inception["preprocessing"]


def test_features_of_the_same_content_are_kept(described, tiles, monkeypatch):
    before = (described / "inception-held.npy").read_bytes()

    def again(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr("superres.evaluation.reference.describe_pictures", again)
    write_reference(PARAMS, tiles[0], described)
    assert (described / "inception-held.npy").read_bytes() == before
    shard = np.load(tiles[0] / "test-00000.npy")
    shard[0, 0, 0, 0] ^= 1
    np.save(tiles[0] / "test-00000.npy", shard)
    with pytest.raises(AssertionError, match="computed again"):
        write_reference(PARAMS, tiles[0], described)


def test_moments_of_a_set_too_large_to_hold_are_stored(described, tiles, monkeypatch):
    whole = read_reference(PARAMS, IDS, described).features
    (described / "inception-held.npy").unlink()
    bounded = partial(describe_pictures, held_at_most=2)
    monkeypatch.setattr("superres.evaluation.reference.describe_pictures", bounded)
    write_reference(PARAMS, tiles[0], described)
    found = read_reference(PARAMS, IDS, described).features
    assert found.count == 3 and len(found.held) == 2 and not found.complete
    assert np.allclose(found.covariance, whole.covariance, rtol=1e-9, atol=1e-9)


def test_other_weights_than_the_record_names_are_refused(described, tiles):
    write_json("weights.json", {"inception": "00" * 32})
    with pytest.raises(SuperresError, match=r"weights\.json: names the weights 00000000.*make wei"):
        write_reference(PARAMS, tiles[0], described)


def test_one_tile_has_no_distribution(tiles, tmp_path, monkeypatch, inception_file):
    monkeypatch.setenv("SUPERRES_INCEPTION", str(inception_file))
    path = tiles[0] / "manifest.csv"
    write_csv(path, pd.read_csv(path).iloc[[0, 3]])
    write_reference(PARAMS, tiles[0], tmp_path / "reference")
    found = read_reference(PARAMS, ["t0"], tmp_path / "reference")
    assert found.features is None and found.inception == {"state": "too few"}
    write_reference(OFF, tiles[0], tmp_path / "reference")
    assert read_reference(OFF, ["t0"], tmp_path / "reference").inception == {"state": "off"}
