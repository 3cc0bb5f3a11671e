import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from superres.core.errors import SuperresError
from superres.core.hashing import pixels_digest
from superres.core.images import read_image
from superres.core.manifests import TILE_COLUMNS
from superres.core.parallel import WORKERS_VARIABLE
from superres.core.storage import Shards, read_manifest
from superres.data import survey, tiling
from superres.data.config import SplitLists, SplitParams
from superres.data.splitting import likely_split
from superres.data.survey import PHOTOGRAPH_COLUMNS
from superres.data.tiling import short_ids, tile_photographs


@pytest.fixture
def tile(tmp_path):
    """Run the stage on params and return its manifest and its photographs."""

    def run(params):
        table = tmp_path / "reports" / "photographs.csv"
        tile_photographs(params, tmp_path / "tiles", table)
        photographs = pd.read_csv(table, keep_default_na=False).set_index("source", drop=False)
        return read_manifest(tmp_path / "tiles", TILE_COLUMNS), photographs

    return run


def _nothing_is_left(tmp_path):
    left = {path.name for path in tmp_path.rglob("*")}
    assert not {name for name in left if "tiles" in name or "reports" in name}


def test_every_row_says_where_its_pixels_come_from(tmp_path, photos, data_params, tile):
    manifest, photographs = tile(data_params())
    shards = Shards(tmp_path / "tiles")
    for row in manifest.to_dict("records"):
        image = read_image(photos / row["source"])
        expected = image[row["y"] : row["y"] + 32, row["x"] : row["x"] + 32]
        np.testing.assert_array_equal(shards[row["shard"], row["index"]], expected)
        assert row["id"] == f"{pixels_digest(image)[:8]}-{row['x']:05d}-{row['y']:05d}"
        assert row["shard"] == f"{row['split']}-00000.npy"
    assert manifest["id"].is_unique
    assert tuple(manifest.columns) == TILE_COLUMNS
    assert tuple(photographs.columns) == PHOTOGRAPH_COLUMNS
    assert manifest.groupby("source").size().to_dict() == photographs["tiles"].to_dict()


def test_photographs_never_straddle_splits_and_none_is_empty(photos, data_params, tile):
    manifest, photographs = tile(data_params())
    assert (manifest.groupby("source")["split"].nunique() == 1).all()
    assert set(manifest["split"]) == {"train", "val", "test"}
    assert (photographs["status"] == "used").all() and (photographs["reason"] == "").all()


def test_grids_of_training_and_held_out_photographs(photos, data_params, tile):
    manifest, photographs = tile(data_params())
    for source, rows in manifest.groupby("source"):
        width, height = photographs.loc[source, ["width", "height"]]
        columns, lines = sorted(set(rows["x"])), sorted(set(rows["y"]))
        assert len(rows) == len(columns) * len(lines)
        if rows["split"].iloc[0] == "train":
            assert columns[-1] == width - 32 and lines[-1] == height - 32
            assert columns[:3] == [0, 16, 32]
        else:
            assert columns == list(range(0, width - 31, 32))
            assert lines == list(range(0, height - 31, 32))


def test_flat_tiles_are_dropped_from_training_only(photos, data_params, tile, capsys):
    for path in photos.iterdir():
        image = read_image(path)
        image[:40] = 90
        Image.fromarray(image).save(path)
    manifest, photographs = tile(data_params())
    train = manifest["split"] == "train"
    assert manifest["sharpness"][train].min() >= 2.0
    assert manifest["sharpness"][~train].min() < 2.0
    dropped = photographs["dropped"]
    assert (dropped[photographs["split"] == "train"] > 0).all()
    assert (dropped[photographs["split"] != "train"] == 0).all()
    out = capsys.readouterr().out
    assert f"{dropped.sum()} training tiles dropped (sharpness below 2)" in out
    assert out.count("\n") == 1


def test_a_large_photograph_gets_its_share_of_tiles(photos, data_params, tile, capsys):
    _, before = tile(data_params())
    manifest, photographs = tile(data_params(max_tiles=4))
    train = photographs["split"] == "train"
    assert (photographs["tiles"][train] == 4).all()
    assert (photographs["thinned"][train] == before["tiles"][train] - 4).all()
    assert (photographs["tiles"][~train] == before["tiles"][~train]).all()
    rows = manifest[manifest["split"] == "train"]
    spread = rows.groupby("source")["y"].agg(lambda y: y.max() - y.min())
    assert (spread >= 32).all()
    assert "where a photograph has over 4" in capsys.readouterr().out


def test_a_flat_training_photograph_is_left_out_with_the_reason(photos, data_params, tile):
    _, before = tile(data_params())
    # a flat picture that falls to training by its content
    levels = (np.full((64, 64, 3), level, np.uint8) for level in range(256))
    for flat in levels:
        Image.fromarray(flat).save(photos / "flat.png")
        _, photographs = tile(data_params())
        if photographs.loc["flat.png", "split"] == "train":
            break
    row = photographs.loc["flat.png"]
    assert row["status"] == "left out"
    assert row["reason"] == "all 9 tiles below the sharpness threshold"
    assert (row["tiles"], row["dropped"]) == (0, 9)
    pd.testing.assert_frame_equal(photographs.drop("flat.png"), before)


def test_one_bad_file_of_each_kind_never_ends_a_run(photos, data_params, tile, textured):
    (photos / "sub").mkdir()
    shutil.copy(photos / "p2.png", photos / "sub" / "again.png")
    Image.fromarray(read_image(photos / "p3.png")).save(photos / "sub" / "p3 übernommen.tiff")
    Image.fromarray(textured(9, 31, 200)).save(photos / "flat strip.png")
    (photos / "broken.jpg").write_text("no picture")
    (photos / "notes.txt").write_text("ignored")
    manifest, photographs = tile(data_params())
    reasons = photographs["reason"][photographs["status"] == "left out"].to_dict()
    assert reasons == {
        "broken.jpg": "unreadable: not an image in a known format",
        "notes.txt": "no image",
        "flat strip.png": "smaller than a tile: 200 x 31 px < 32 x 32 px",
        "sub/again.png": "same pixels as p2.png",
        "sub/p3 übernommen.tiff": "same pixels as p3.png",
    }
    assert set(manifest["source"]) == {f"p{i}.png" for i in range(6)}


def test_turned_photographs_are_cut_upright(tmp_path, photos, data_params, tile, textured):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(textured(20, 40, 90)).save(photos / "turned.png", exif=exif)
    _, photographs = tile(data_params())
    assert photographs.loc["turned.png", ["width", "height"]].tolist() == [40, 90]


def test_more_photographs_do_not_move_the_others(photos, data_params, tile, textured):
    _, before = tile(data_params())
    for i in range(6, 14):
        Image.fromarray(textured(i)).save(photos / f"a{i}.png")
    _, after = tile(data_params())
    assert after["split"][before.index].to_dict() == before["split"].to_dict()


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path, photos, data_params, monkeypatch):
    results = {}
    for workers in ("1", "2"):
        monkeypatch.setenv(WORKERS_VARIABLE, workers)
        folder = tmp_path / workers
        facts = tile_photographs(data_params(), folder / "tiles", folder / "photographs.csv")
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        results[workers] = {path.name: path.read_bytes() for path in files}
    assert results["1"] == results["2"]
    assert len(results["1"]) == 5
    assert facts["photographs"] == 6 and facts["tiles"] > 60
    assert facts["megapixels"] == pytest.approx(6 * 80 * 112 / 1e6, rel=0.02)


def test_too_many_unreadable_files_end_the_run_with_the_list(tmp_path, photos, data_params):
    for i in range(3):
        (photos / f"bad{i}.jpg").write_bytes(b"")
    with pytest.raises(SuperresError) as caught:
        tile_photographs(data_params(), tmp_path / "tiles", tmp_path / "reports" / "p.csv")
    message = str(caught.value)
    assert "3 of 9 files are unreadable" in message and "max_bad_fraction 0.25" in message
    assert all(f"bad{i}.jpg: unreadable: the file is empty" in message for i in range(3))
    _nothing_is_left(tmp_path)


def test_too_few_photographs(tmp_path, photos, data_params):
    for i in range(1, 6):
        (photos / f"p{i}.png").unlink()
    shutil.copy(photos / "p0.png", photos / "copy.png")
    with pytest.raises(SuperresError, match="1 usable of 2 photographs, at least 3") as caught:
        tile_photographs(data_params(), tmp_path / "tiles", tmp_path / "reports" / "p.csv")
    assert str(photos) in str(caught.value)
    assert "p0.png: same pixels as copy.png" in str(caught.value)
    _nothing_is_left(tmp_path)


def test_all_photographs_too_small(tmp_path, photos, data_params):
    params = data_params(tile_size=256)
    with pytest.raises(SuperresError, match="0 usable of 6 photographs") as caught:
        tile_photographs(params, tmp_path / "tiles", tmp_path / "reports" / "p.csv")
    assert "p0.png: smaller than a tile: 112 x 80 px < 256 x 256 px" in str(caught.value)
    _nothing_is_left(tmp_path)


def test_nothing_sharp_to_train_on(tmp_path, photos, data_params):
    params = data_params(min_sharpness=1e6)
    with pytest.raises(SuperresError, match=r"every training tile is below data\.min_sharpness"):
        tile_photographs(params, tmp_path / "tiles", tmp_path / "reports" / "p.csv")
    _nothing_is_left(tmp_path)


def test_an_error_leaves_the_previous_tiles_alone(tmp_path, photos, data_params):
    tile_photographs(data_params(), tmp_path / "tiles", tmp_path / "p.csv")
    before = (tmp_path / "tiles" / "manifest.csv").read_bytes()
    with pytest.raises(SuperresError):
        tile_photographs(data_params(min_sharpness=1e6), tmp_path / "tiles", tmp_path / "p.csv")
    assert (tmp_path / "tiles" / "manifest.csv").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_hashes_tell_pixels_and_shapes_apart(textured):
    image = textured(0, 32, 48)
    assert pixels_digest(image) == pixels_digest(image[:, :, :].copy(order="F"))
    assert pixels_digest(image) != pixels_digest(image.reshape(48, 32, 3))
    assert len(pixels_digest(image)) == 32


def test_ids_grow_where_eight_digits_do_not_tell_photographs_apart():
    assert short_ids(["0123456789abcdef", "fedcba9876543210"]) == ["01234567", "fedcba98"]
    assert short_ids(["01234567aaaabbbb", "01234567ccccdddd"]) == ["01234567aaaa", "01234567cccc"]


def test_too_few_val_tiles_to_choose_a_checkpoint_by(tmp_path, photos, data_params):
    params = data_params(tile_size=80, stride=80)  # one tile each
    with pytest.raises(SuperresError, match=r"data\.split\.val: .* give 1 val tiles"):
        tile_photographs(params, tmp_path / "tiles", tmp_path / "reports" / "p.csv")
    _nothing_is_left(tmp_path)


@pytest.fixture
def decoded(monkeypatch):
    """Count how often each file is decoded."""
    names = []
    read = survey.read_picture

    def counted(path, *rest):
        names.append(path.name)
        return read(path, *rest)

    monkeypatch.setattr(survey, "read_picture", counted)
    return names


def test_each_photograph_is_decoded_once(photos, data_params, tile, decoded):
    splits = SplitLists(train=["p[0-3].png"], val=["p4.png"], test=["p5.png"])
    tile(data_params(split=SplitParams(val=0.2, test=0.3, salt="0", lists=splits)))
    assert sorted(decoded) == [f"p{number}.png" for number in range(6)]


def test_a_photograph_that_follows_another_is_cut_for_the_split_it_comes_to(
    tmp_path, photos, data_params, tile, decoded
):
    """Brighter copies of all: their contents say other splits than those that they look like."""
    for path in sorted(photos.iterdir()):
        brighter = read_image(path) // 2 + 100
        Image.fromarray(brighter[:-1]).save(photos / f"{path.stem}-a.png")
    params = data_params()
    manifest, photographs = tile(params)
    contents = {path.name: pixels_digest(read_image(path)) for path in photos.iterdir()}
    moved = [
        name
        for name, split in photographs["split"].items()
        if split != likely_split(name, contents[name], params.split)
    ]
    assert moved and len(moved) < 12
    assert sorted(decoded) == sorted([*photographs.index, *moved])
    shards = Shards(tmp_path / "tiles")
    for row in manifest.to_dict("records"):
        expected = read_image(photos / row["source"])[row["y"] :, row["x"] :][:32, :32]
        np.testing.assert_array_equal(shards[row["shard"], row["index"]], expected)
    for split, rows in manifest.groupby("split"):
        assert rows["index"].tolist() == list(range(len(rows)))
        assert len(np.load(tmp_path / "tiles" / f"{split}-00000.npy")) == len(rows)
        assert rows["source"].tolist() == sorted(rows["source"])
    for name, rows in manifest[manifest["split"] == "train"].groupby("source"):
        assert {16, 48} <= set(rows["x"]), name
    assert not (tmp_path / "tiles" / "ahead").exists()


def test_a_photograph_that_changes_meanwhile_is_an_error(
    tmp_path, photos, data_params, monkeypatch, textured
):
    for path in sorted(photos.iterdir()):
        Image.fromarray(read_image(path)[:-1] // 2 + 100).save(photos / f"{path.stem}-a.png")
    settle = tiling.settle

    def settle_and_change(photographs, params):
        settle(photographs, params)
        for path in photos.iterdir():
            Image.fromarray(textured(99)).save(path)

    monkeypatch.setattr(tiling, "settle", settle_and_change)
    with pytest.raises(SuperresError, match=r"p\d.*\.png: has changed while photographs were"):
        tile_photographs(data_params(), tmp_path / "tiles", tmp_path / "reports" / "p.csv")
    _nothing_is_left(tmp_path)
