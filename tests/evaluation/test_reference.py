import numpy as np
import pandas as pd
import pytest

from superres.errors import SuperresError
from superres.evaluation.distribution import descriptors
from superres.evaluation.reference import read_reference, write_reference
from superres.params.evaluate import FeaturesParams, SwdParams
from superres.storage import ShardWriter, write_csv

PARAMS = FeaturesParams(swd=SwdParams(patches_per_tile=8, max_patches=1000, projections=16, seed=0))


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
    found = read_reference(PARAMS, ids[::-1], tmp_path / "reference")
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
    other = FeaturesParams(swd=PARAMS.swd.model_copy(update={"seed": 1}))
    with pytest.raises(SuperresError, match=r"reference\.json.*swd"):
        read_reference(other, ["t0", "t1", "t2"], tmp_path / "reference")


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
