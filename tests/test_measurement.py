import json

import numpy as np
import pandas as pd
import pytest

from superres.data.chain import Degradation
from superres.data.degradation import degrade
from superres.errors import SuperresError
from superres.evaluation.contenders import upsample
from superres.evaluation.reference import write_reference
from superres.measurement import Folders, measure
from superres.params.evaluate import EvaluateParams, FeaturesParams, SwdParams
from superres.storage import ShardWriter, write_csv, write_json

PARAMS = EvaluateParams(
    features=FeaturesParams(
        swd=SwdParams(patches_per_tile=32, max_patches=1000, projections=64, seed=0)
    ),
    baselines=["lanczos"],
    border_crop=2,
)
DEGRADATION = Degradation(2, 1.0, (("blur", "gaussian_blur"), ("jpeg", "jpeg-broad")))
KEYS = {"psnr", "psnr_y", "ssim", "lr_psnr", "color_shift", "fid", "kid", "swd"}


@pytest.fixture
def folders(tmp_path):
    """Five test pairs; `model` is the original itself, `estimate` is bicubic."""
    names = ("tiles", "pairs", "samples")
    for name in names:
        (tmp_path / name).mkdir()
    generator = np.random.default_rng(0)
    rows = {name: [] for name in names}
    with (
        ShardWriter(tmp_path / "tiles", "test") as tiles,
        ShardWriter(tmp_path / "pairs", "test") as pairs,
        ShardWriter(tmp_path / "samples", "test") as samples,
    ):
        for number in range(5):
            coarse = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            tile = upsample(coarse, (32, 32), "bicubic")
            place = {"source": "写真 <b>.png", "x": number, "y": 0, "sharpness": 1.0}
            shard, index = tiles.append(tile)
            where = {"split": "test", "shard": shard, "index": index}
            rows["tiles"].append({"id": f"t{number}", **where, **place})
            strengths = dict(zip(("blur", "jpeg"), generator.random(2).round(6), strict=True))
            low, applied = degrade(DEGRADATION, tile, strengths)
            shard, index = pairs.append(low)
            entropies = {f"entropy_{name}": strength for name, strength in applied.items()}
            origin = {
                "tile_id": f"t{number}",
                "tile_shard": where["shard"],
                "tile_index": where["index"],
            }
            where = {"split": "test", "shard": shard, "index": index}
            pair = {"id": f"p{number}", **where, **origin, **place, "variant": 0}
            rows["pairs"].append(pair | entropies)
            for name, restored in (
                ("model", tile),
                ("estimate", upsample(low, (32, 32), "bicubic")),
            ):
                shard, index = samples.append(restored)
                where = {"split": "test", "contender": name, "shard": shard, "index": index}
                rows["samples"].append({"id": f"p{number}", **where, "source": place["source"]})
    for name in names:
        # The samples' order must not matter.
        write_csv(tmp_path / name / "manifest.csv", pd.DataFrame(rows[name][::-1]))
    write_json(tmp_path / "pairs" / "degradation.json", DEGRADATION.to_json())
    write_reference(PARAMS.features, tmp_path / "tiles", tmp_path / "reference")
    return Folders(*(tmp_path / name for name in (*names, "reference", "reports")))


def test_measures_every_contender(folders):
    assert measure(PARAMS, folders) == 5
    metrics = json.loads((folders.reports / "metrics.json").read_text())
    assert list(metrics) == ["model", "estimate", "bicubic", "lanczos", "tiles"]
    assert metrics["tiles"] == 5
    assert all(set(metrics[name]) == KEYS for name in list(metrics)[:-1])
    # The originals themselves: no error, no distance, and degraded again exactly the inputs.
    assert metrics["model"] == {
        "psnr": None,
        "psnr_y": None,
        "ssim": 1.0,
        "lr_psnr": None,
        "color_shift": 0.0,
        "fid": None,
        "kid": None,
        "swd": 0.0,
    }
    assert metrics["estimate"] == metrics["bicubic"]
    assert metrics["bicubic"]["swd"] > 0
    notes = json.loads((folders.reports / "notes.json").read_text())
    assert [note["metric"] for note in notes] == ["fid", "kid", "psnr", "psnr_y", "lr_psnr"]


def test_tables_are_long_and_name_the_place(folders):
    measure(PARAMS, folders)
    per_tile = pd.read_csv(folders.reports / "per_tile.csv")
    assert len(per_tile) == 5 * 4
    assert list(per_tile.columns[:7]) == [
        *("id", "source", "x", "y", "entropy_blur", "entropy_jpeg", "contender"),
    ]
    assert np.isinf(per_tile.loc[per_tile["contender"] == "model", "psnr"]).all()
    swd = pd.read_csv(folders.reports / "swd.csv")
    assert swd["level_px"].tolist() == [32, 16] * 4


def test_measuring_twice_gives_the_same_bytes(folders, tmp_path):
    measure(PARAMS, folders)
    measure(PARAMS, folders._replace(reports=tmp_path / "again"))
    for file in folders.reports.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def _spoil(folders, change):
    path = folders.samples / "manifest.csv"
    write_csv(path, change(pd.read_csv(path)))


def test_a_missing_contender_is_named(folders):
    _spoil(folders, lambda rows: rows[rows["contender"] != "estimate"])
    with pytest.raises(SuperresError, match=r"samples/manifest\.csv.*'estimate'"):
        measure(PARAMS, folders)
    assert not folders.reports.exists()


def test_a_missing_tile_is_named(folders):
    _spoil(folders, lambda rows: rows.iloc[1:])
    with pytest.raises(SuperresError, match=r"'estimate' lacks 1 of 5 test pairs.*p4"):
        measure(PARAMS, folders)


def test_a_tile_that_stands_twice_is_named(folders):
    _spoil(folders, lambda rows: pd.concat([rows, rows.iloc[:1]]))
    with pytest.raises(SuperresError, match="p4 twice"):
        measure(PARAMS, folders)


def test_a_restored_tile_of_another_size_is_named(folders):
    with ShardWriter(folders.samples, "small") as writer:
        writer.append(np.zeros((16, 16, 3), np.uint8))
    _spoil(folders, lambda rows: rows.assign(shard="small-00000.npy", index=0))
    with pytest.raises(SuperresError, match=r"'model'.*p4.*16 x 16.*32 x 32"):
        measure(PARAMS, folders)
