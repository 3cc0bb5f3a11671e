import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from superres.core.errors import SuperresError
from superres.core.manifests import PAIR_COLUMNS
from superres.core.parallel import WORKERS_VARIABLE
from superres.core.storage import read_manifest
from superres.data.tiling import tile_photographs
from superres.degradation.chain import Degradation
from superres.degradation.config import CorruptionParams, DegradeParams
from superres.degradation.dataset import PairSet
from superres.degradation.degrade import degrade
from superres.degradation.pairs import degrade_tiles, entropies_of
from support import STORED

CHAIN = [
    {"name": "blur", "kind": "gaussian_blur", "low": 0.0, "high": 1.0},
    {"name": "jpeg", "kind": "jpeg-broad", "low": 0.2, "high": 0.6},
]
RANDOM = [
    {"name": "noise", "kind": "gaussian_noise", "low": 0.0, "high": 1.0, "always": False},
    {"name": "motion", "kind": "motion_blur", "low": 0.5, "high": 1.0, "always": False},
    {"name": "jpeg", "kind": "jpeg-broad", "low": 0.0, "high": 0.6, "always": False},
]


def degrade_params(**changes):
    values = {"scale": 2, "downsampling": "area", "variants": 3, "blur_scale": 1.0}
    values = {**values, "corruptions": CHAIN, "random": 0, "seed": 0, **changes}
    defaults = {"distribution": "uniform", "always": True}
    values["corruptions"] = [
        CorruptionParams(**{**defaults, **corruption}) for corruption in values["corruptions"]
    ]
    return DegradeParams(**values)


@pytest.fixture(autouse=True)
def _one_worker(monkeypatch):
    monkeypatch.setenv(WORKERS_VARIABLE, "1")


@pytest.fixture
def tiles(tmp_path, photos, data_params):
    tile_photographs(data_params(), tmp_path / "tiles", tmp_path / "photographs.csv")
    return tmp_path / "tiles"


@pytest.fixture
def pairs(tmp_path, tiles):
    degrade_tiles(degrade_params(), tiles, tmp_path / "pairs")
    return tmp_path / "pairs"


def test_random_corruptions_are_drawn_recorded_and_repeated(tmp_path, tiles):
    params = degrade_params(corruptions=RANDOM, random=2)
    degrade_tiles(params, tiles, tmp_path / "pairs")
    data = PairSet(tiles, tmp_path / "pairs", "train")
    everything = np.arange(len(data))
    entropies = data.entropies(everything)
    assert ((entropies > 0).sum(axis=1) == 2).all()
    assert (entropies > 0).any(axis=0).all()
    for i, row in enumerate(data.rows.to_dict("records")[:12]):
        entropies = {name: row[f"entropy_{name}"] for name in data.entropy_names}
        again, _ = degrade(data.degradation, data.high([i])[0], entropies, row["id"])
        np.testing.assert_array_equal(data.low([i])[0], again)
        other, _ = degrade(data.degradation, data.high([i])[0], entropies, "another")
        assert entropies["noise"] == 0 or not np.array_equal(other, again)


def test_training_tiles_get_variants_and_others_one(tiles, pairs):
    manifest = read_manifest(pairs)
    assert tuple(manifest.columns) == (*PAIR_COLUMNS, "entropy_blur", "entropy_jpeg")
    assert manifest["id"].is_unique
    counts = read_manifest(tiles)["split"].value_counts()
    wanted = {"train": 3 * counts["train"], "val": counts["val"], "test": counts["test"]}
    assert manifest["split"].value_counts().to_dict() == wanted
    row = manifest.iloc[1]
    assert row["id"] == f"{row['tile_id']}-{row['variant']}"
    assert sorted(path.name for path in pairs.iterdir()) == [
        *("degradation.json", "manifest.csv"),
        *("test-00000.npy", "train-00000.npy", "val-00000.npy"),
    ]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_inputs_follow_from_their_tiles_and_the_manifests_entropies(tiles, pairs, split):
    data = PairSet(tiles, pairs, split)
    everything = np.arange(len(data))
    high, low, entropies = data.high(everything), data.low(everything), data.entropies(everything)
    assert high.shape == (len(data), 32, 32, 3) and low.shape == (len(data), 16, 16, 3)
    assert high.dtype == low.dtype == np.uint8
    assert entropies.dtype == np.float32 and entropies.shape == (len(data), 2)
    assert data.entropy_names == ("blur", "jpeg") and data.scale == 2
    columns = [f"entropy_{name}" for name in data.entropy_names]
    for i, row in enumerate(data.rows.to_dict("records")):
        named = {name: row[f"entropy_{name}"] for name in data.entropy_names}
        again, _ = degrade(data.degradation, high[i], named, row["id"])
        np.testing.assert_array_equal(low[i], again)
        assert named == entropies_of(data.degradation, row["tile_id"], row["variant"])
    np.testing.assert_array_equal(entropies, data.rows[columns].to_numpy(np.float32))
    assert entropies[:, 1].min() >= 0.2 and entropies[:, 1].max() <= 0.6


def test_pairs_are_read_in_the_order_asked_for(tiles, pairs):
    data = PairSet(tiles, pairs, "train")
    some = [5, 0, 5]
    for read in (data.low, data.high, data.entropies):
        np.testing.assert_array_equal(read(some), np.stack([read([i])[0] for i in some]))
    assert len({data.low([i]).tobytes() for i in range(3)}) == 3  # variants differ
    with pytest.raises(IndexError):
        data.low([len(data)])


def test_entropies_do_not_depend_on_other_tiles(tmp_path, tiles, pairs):
    before = read_manifest(pairs).set_index("id")
    manifest = read_manifest(tiles)
    manifest.iloc[::-3].to_csv(tiles / "manifest.csv", index=False)
    degrade_tiles(degrade_params(), tiles, tmp_path / "fewer")
    fewer = read_manifest(tmp_path / "fewer").set_index("id")
    same = ["entropy_blur", "entropy_jpeg"]
    pd.testing.assert_frame_equal(fewer[same], before.loc[fewer.index, same])


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path, tiles, pairs, monkeypatch):
    monkeypatch.setenv(WORKERS_VARIABLE, "2")
    facts = degrade_tiles(degrade_params(), tiles, tmp_path / "two")
    for path in pairs.iterdir():
        assert (tmp_path / "two" / path.name).read_bytes() == path.read_bytes()
    assert facts["pairs"] == len(read_manifest(pairs))
    assert facts["megapixels"] == pytest.approx(facts["pairs"] * 32 * 32 / 1e6, abs=1e-3)


def test_no_corruption_gives_no_entropies(tmp_path, tiles):
    degrade_tiles(degrade_params(corruptions=[], scale=4), tiles, tmp_path / "plain")
    data = PairSet(tiles, tmp_path / "plain", "test")
    assert data.entropies([0, 1]).shape == (2, 0)
    assert data.low([0]).shape == (1, 8, 8, 3)


def test_a_scale_of_one_and_of_eight(tmp_path, tiles):
    for scale in (1, 8):
        degrade_tiles(degrade_params(scale=scale, variants=1), tiles, tmp_path / "pairs")
        assert PairSet(tiles, tmp_path / "pairs", "val").low([0]).shape[1] == 32 // scale


def test_a_scale_that_does_not_divide_the_tile(tmp_path, photos, data_params):
    tile_photographs(data_params(tile_size=36), tmp_path / "tiles", tmp_path / "p.csv")
    with pytest.raises(SuperresError, match=r"data\.tile_size 36 .* multiple of degrade\.scale 8"):
        degrade_tiles(degrade_params(scale=8), tmp_path / "tiles", tmp_path / "pairs")
    assert not list(tmp_path.glob("*pairs*"))


def test_a_lost_shard_ends_the_stage_with_nothing_half_done(tmp_path, tiles):
    (tiles / "val-00000.npy").unlink()
    with pytest.raises(SuperresError, match=r"val-00000\.npy: not a readable shard"):
        degrade_tiles(degrade_params(), tiles, tmp_path / "pairs")
    assert not list(tmp_path.glob("*pairs*"))


def test_degradation_is_written_beside_the_pairs(pairs):
    written = json.loads((pairs / "degradation.json").read_text())
    assert Degradation.from_json(written) == Degradation.of(degrade_params())


def _cut_off(folder):
    path = folder / "test-00000.npy"
    array = np.load(path)
    np.save(path, array[:-1])


def _swap_entropies(pairs):
    path = pairs / "manifest.csv"
    frame = pd.read_csv(path)
    frame[[*frame.columns[:-2], "entropy_jpeg", "entropy_blur"]].to_csv(path, index=False)


DAMAGE = {
    r"pairs.degradation\.json: not found": lambda t, p: shutil.rmtree(p),
    r"tiles.manifest\.csv: not found": lambda t, p: shutil.rmtree(t),
    r"pairs.manifest\.csv: not found": lambda t, p: (p / "manifest.csv").unlink(),
    r"degradation\.json: Expecting value": lambda t, p: (p / "degradation.json").write_text(""),
    r"degradation\.json: degradation: wanted": lambda t, p: (p / "degradation.json").write_text(
        "[]"
    ),
    r"tiles.test-00000\.npy: not a readable": lambda t, p: (t / "test-00000.npy").unlink(),
    r"pairs.test-00000\.npy: not a readable": lambda t, p: (p / "test-00000.npy").unlink(),
    r"tiles.test-00000\.npy: has no tile \d+": lambda t, p: _cut_off(t),
    r"pairs.test-00000\.npy: has no tile \d+": lambda t, p: _cut_off(p),
    r"entropy_jpeg, entropy_blur, .* means entropy_blur, entropy_jpeg": lambda t, p: (
        _swap_entropies(p)
    ),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damaged_folders_are_refused(tiles, pairs, message):
    DAMAGE[message](tiles, pairs)
    with pytest.raises(SuperresError, match=message):
        PairSet(tiles, pairs, "test")


def test_pairs_of_other_tiles_are_refused(tmp_path, tiles, pairs, data_params, textured):
    for path in (tmp_path / "photos").iterdir():
        path.unlink()
    for i in range(5):
        Image.fromarray(textured(50 + i)).save(tmp_path / "photos" / f"{i}.png")
    tile_photographs(data_params(), tiles, tmp_path / "photographs.csv")
    with pytest.raises(SuperresError, match=r"pairs belong to other tiles \(the first: .*degrade"):
        PairSet(tiles, pairs, "test")


def test_an_absent_split_is_refused(tiles, pairs):
    with pytest.raises(SuperresError, match="no tile in split 'holdout'"):
        PairSet(tiles, pairs, "holdout")


def test_pairs_that_were_written_long_ago_are_read():
    stored = STORED / "pairs-superres-1"
    test = PairSet(stored / "tiles", stored / "pairs", "test")
    assert (len(test), test.scale, test.entropy_names) == (8, 2, ("blur", "jpeg"))
    assert test.degradation.corruptions[1].kind == "jpeg-broad"
    assert test.high([0, 7]).shape == (2, 16, 16, 3)
    expected = np.load(stored / "pairs" / "test-00000.npy")
    np.testing.assert_array_equal(test.low(range(8)), expected)
    assert test.entropies([0])[0] == pytest.approx(
        test.rows[["entropy_blur", "entropy_jpeg"]].iloc[0]
    )
    assert 0 < test.entropies(range(8)).min() < test.entropies(range(8)).max() < 1
