import json

import numpy as np
import pandas as pd
import pytest
import torch

from inception_weights import random_weights
from superres.core.errors import SuperresError
from superres.core.storage import ShardWriter, write_csv, write_json
from superres.degradation.chain import Degradation, Step
from superres.degradation.dataset import PairSet
from superres.degradation.degrade import degrade
from superres.evaluation.contenders import Folders, measure
from superres.evaluation.reference import write_reference
from superres.metrics.baselines import upsample
from superres.metrics.config import (
    BootstrapParams,
    EvaluateParams,
    FeaturesParams,
    KidParams,
    SwdParams,
)
from superres.metrics.lpips import load_lpips
from superres.metrics.perceptual import distances
from superres.metrics.weights import ALEXNET, LINEAR

PARAMS = EvaluateParams(
    features=FeaturesParams(
        swd=SwdParams(patches_per_tile=32, max_patches=1000, projections=64, seed=0),
        inception="auto",
    ),
    baselines=["lanczos"],
    border_crop=2,
    kid=KidParams(subsets=10, subset_size=4, seed=2020),
    neighbours=3,
    bootstrap=BootstrapParams(resamples=100, seed=0),
)
DEGRADATION = Degradation(2, 1.0, (Step("blur", "gaussian_blur"), Step("jpeg", "jpeg-broad")))
CONTRACT = {"psnr", "psnr_y", "ssim", "lr_psnr", "color_shift", "fid", "kid", "swd"}
GRAIN = {"color_grain", "luma_grain", "smooth_roughness"}
KEYS = CONTRACT | GRAIN | {"ssim_y", "kid_std", "precision", "recall"}
FILES = {
    *("metrics.json", "notes.json", "measured.json", "per_tile.csv", "swd.csv"),
    *("by_photograph.csv", "by_entropy.csv", "plane.csv"),
}


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
            low, applied = degrade(DEGRADATION, tile, strengths, f"t{number}-0")
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
    record = tmp_path / "weights.json"
    write_json(record, {"inception": None})
    write_reference(PARAMS.features, tmp_path / "tiles", tmp_path / "reference", record)
    return Folders(*(tmp_path / name for name in (*names, "reference", "reports")), record)


def test_measures_every_contender(folders):
    assert measure(PARAMS, folders) == 5
    metrics = json.loads((folders.reports / "metrics.json").read_text())
    assert list(metrics) == ["model", "estimate", "bicubic", "lanczos", "tiles", "intervals"]
    assert metrics["tiles"] == 5
    assert all(set(metrics[name]) == KEYS for name in list(metrics)[:-2])
    # The originals themselves: no error, no distance, and degraded again exactly the inputs.
    assert metrics["model"] == {
        "psnr": None,
        "psnr_y": None,
        "ssim": 1.0,
        "ssim_y": 1.0,
        "lr_psnr": None,
        "color_shift": 0.0,
        "color_grain": 0.0,
        "luma_grain": 0.0,
        "smooth_roughness": None,
        "fid": None,
        "kid": None,
        "kid_std": None,
        "precision": None,
        "recall": None,
        "swd": 0.0,
    }
    low, high = metrics["intervals"]["bicubic"]["psnr"]
    assert low < metrics["bicubic"]["psnr"] < high
    assert metrics["intervals"]["model"]["ssim"] == [1, 1]
    assert {file.name for file in folders.reports.iterdir()} == FILES
    assert metrics["estimate"] == metrics["bicubic"]
    assert metrics["bicubic"]["swd"] > 0
    notes = json.loads((folders.reports / "notes.json").read_text())
    expected = ["fid", "kid", "precision", "recall", "psnr", "psnr_y", "lr_psnr"]
    expected += ["smooth_roughness", "intervals"]
    assert [note["metric"] for note in notes] == expected
    assert "make weights" in notes[0]["text"] and "dvc repro" in notes[0]["text"]


@pytest.fixture
def with_weights(folders, monkeypatch, inception_file):
    monkeypatch.setenv("SUPERRES_INCEPTION", str(inception_file))
    write_reference(PARAMS.features, folders.tiles, folders.reference, folders.record)
    return folders


def test_with_weights_every_contender_has_figures_of_features(with_weights):
    measure(PARAMS, with_weights)
    metrics = json.loads((with_weights.reports / "metrics.json").read_text())
    # The model's tiles are the originals.
    assert metrics["model"]["fid"] == pytest.approx(0, abs=1e-6)
    assert metrics["model"]["precision"] == metrics["model"]["recall"] == 1
    assert metrics["bicubic"]["fid"] == metrics["estimate"]["fid"] > 1
    assert metrics["bicubic"]["kid"] > metrics["model"]["kid"]
    notes = json.loads((with_weights.reports / "notes.json").read_text())
    texts = [note["text"] for note in notes if note["metric"] == "fid"]
    assert "FID is of 5 pictures, fewer than its 2048 features" in texts[0]
    assert "other weights" in texts[1]
    how = json.loads((with_weights.reports / "measured.json").read_text())
    assert how["inception"]["layer"] == "2048" and "bilinear" in how["inception"]["preprocessing"]
    assert how["kid"] == PARAMS.kid.model_dump() and how["border_crop_px"] == 2


def test_weights_that_are_gone_or_others_are_a_note_not_an_end(with_weights, monkeypatch, tmp_path):
    def texts(params=PARAMS):
        measure(params, with_weights)
        metrics = json.loads((with_weights.reports / "metrics.json").read_text())
        assert metrics["model"]["fid"] is None and metrics["model"]["swd"] == 0
        return json.loads((with_weights.reports / "notes.json").read_text())[0]["text"]

    monkeypatch.delenv("SUPERRES_INCEPTION")
    assert "not to be had" in texts()
    assert "--force" not in texts()
    write_json(with_weights.record, {"inception": "6726825d"})
    assert "dvc repro --force --single-item reference evaluate" in texts()
    other = random_weights()
    other["fc.bias"] += 1
    torch.save(other, tmp_path / "other.pth")
    monkeypatch.setenv("SUPERRES_INCEPTION", str(tmp_path / "other.pth"))
    assert "described with other weights" in texts()
    off = PARAMS.model_copy(
        update={"features": PARAMS.features.model_copy(update={"inception": "off"})}
    )
    write_reference(off.features, with_weights.tiles, with_weights.reference, with_weights.record)
    assert "evaluate.features.inception is off" in texts(off)


def test_sets_too_small_for_neighbours_say_so(with_weights):
    params = PARAMS.model_copy(update={"neighbours": 5})
    measure(params, with_weights)
    metrics = json.loads((with_weights.reports / "metrics.json").read_text())
    assert metrics["bicubic"]["precision"] is None and metrics["bicubic"]["fid"] > 1
    notes = json.loads((with_weights.reports / "notes.json").read_text())
    assert [n["text"] for n in notes if n["metric"] == "recall"] == [
        "Precision and recall need more than 5 pictures, got 5."
    ]


def figures(folder):
    """Return the metrics, the notes and how they were measured."""
    names = ("metrics", "notes", "measured")
    return [json.loads((folder / f"{name}.json").read_text()) for name in names]


def test_with_its_weights_every_contender_has_lpips_and_nothing_else_changes(
    folders, lpips_given, monkeypatch, tmp_path
):
    measure(PARAMS, folders)
    metrics, notes, how = figures(folders.reports)
    assert metrics["model"]["lpips"] == 0  # the originals themselves
    assert metrics["bicubic"]["lpips"] == metrics["estimate"]["lpips"] > 0.01
    low, high = metrics["intervals"]["bicubic"]["lpips"]
    assert low < metrics["bicubic"]["lpips"] < high
    assert how["lpips"].startswith("version 0.1, alexnet-owt-7be5be79.pth and alex.pth (")
    per_tile = pd.read_csv(folders.reports / "per_tile.csv")
    of_lanczos = per_tile[per_tile["contender"] == "lanczos"]["lpips"]
    assert of_lanczos.mean() == pytest.approx(metrics["lanczos"]["lpips"], rel=1e-6)
    assert of_lanczos.nunique() == 5
    # By hand, of one tile.
    row = per_tile[per_tile["contender"] == "bicubic"].iloc[2]
    pairs = PairSet(folders.tiles, folders.pairs, "test")
    number = pairs.rows["id"].tolist().index(row["id"])
    tile, low_tile = pairs.high([number])[0], pairs.low([number])[0]
    network = load_lpips(lpips_given / ALEXNET, lpips_given / LINEAR)
    again = list(distances(network, [(upsample(low_tile, (32, 32), "bicubic"), tile)]))
    assert again == pytest.approx([row["lpips"]], abs=1e-6)
    for name in ("by_photograph", "by_entropy"):
        assert "lpips" in pd.read_csv(folders.reports / f"{name}.csv").columns

    monkeypatch.delenv("SUPERRES_LPIPS")
    measure(PARAMS, folders._replace(reports=tmp_path / "without"))
    without = figures(tmp_path / "without")
    for part in (*metrics.values(), *metrics["intervals"].values(), how):
        if isinstance(part, dict):
            part.pop("lpips", None)
    assert [metrics, notes, how] == without
    plain = pd.read_csv(tmp_path / "without" / "per_tile.csv")
    pd.testing.assert_frame_equal(per_tile.drop(columns="lpips"), plain)
    for name in ("by_photograph", "by_entropy"):
        assert "lpips" not in pd.read_csv(tmp_path / "without" / f"{name}.csv").columns


def test_lpips_that_is_named_but_not_given_is_a_note(folders):
    write_json(folders.record, {"inception": None, "lpips": "7be5be79 df73285e"})
    measure(PARAMS, folders)
    metrics, notes, how = figures(folders.reports)
    assert "lpips" not in metrics["model"] and "lpips" not in how
    (text,) = (note["text"] for note in notes if note["metric"] == "lpips")
    assert "weights.json names its weights, but SUPERRES_LPIPS was not set" in text


def test_dists_has_an_entry_and_a_note_of_its_own(folders):
    write_json(folders.record, {"inception": None, "lpips": None, "dists": "397923af f5e65c96"})
    measure(PARAMS, folders)
    metrics, notes, _ = figures(folders.reports)
    assert "dists" not in metrics["model"]
    (text,) = (note["text"] for note in notes if note["metric"] == "dists")
    assert text.startswith("DISTS is not computed: weights.json names its weights, but SUPERRES_D")
    assert "vgg16-397923af.pth and weights.pt" in text


def test_a_wrong_folder_of_lpips_ends_it_before_anything_is_measured(folders, monkeypatch):
    monkeypatch.setenv("SUPERRES_LPIPS", "/absent")
    with pytest.raises(SuperresError, match="SUPERRES_LPIPS: /absent: no such folder; wanted"):
        measure(PARAMS, folders)
    assert not folders.reports.exists()


def test_several_processes_write_the_same_bytes(folders, tmp_path, monkeypatch, lpips_given):
    measure(PARAMS, folders)
    monkeypatch.setenv("SUPERRES_WORKERS", "2")
    measure(PARAMS, folders._replace(reports=tmp_path / "again"))
    for name in FILES:
        assert (folders.reports / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


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
