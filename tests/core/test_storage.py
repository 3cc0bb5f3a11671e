from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from superres.core.errors import SuperresError
from superres.core.manifests import ADDED_COLUMNS
from superres.core.storage import (
    Shards,
    ShardWriter,
    read_manifest,
    recovered,
    replacing_folder,
    rows_of_split,
    write_bytes,
    write_csv,
    write_json,
)


def tiles(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 4, 6, 3), dtype=np.uint8)


def test_shards_are_plain_numpy_files_and_come_back(tmp_path: Path) -> None:
    data = tiles(5)
    with ShardWriter(tmp_path, "train", max_bytes=2 * data[0].nbytes) as writer:
        places = [writer.append(tile) for tile in data]
    assert places == [
        ("train-00000.npy", 0),
        ("train-00000.npy", 1),
        ("train-00001.npy", 0),
        ("train-00001.npy", 1),
        ("train-00002.npy", 0),
    ]
    stored = [np.load(path) for path in sorted(tmp_path.glob("*.npy"))]
    np.testing.assert_array_equal(np.concatenate(stored), data)
    shards = Shards(tmp_path)
    np.testing.assert_array_equal(shards["train-00001.npy", 1], data[3])
    rows = pd.DataFrame(places, columns=["shard", "index"]).iloc[[4, 0]]
    np.testing.assert_array_equal(shards.stack(rows), data[[4, 0]])


def test_many_tiles_at_once_are_those_one_by_one(tmp_path: Path) -> None:
    data = tiles(9)
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    with (
        ShardWriter(tmp_path / "one", "x", max_bytes=4 * data[0].nbytes) as one,
        ShardWriter(tmp_path / "many", "x", max_bytes=4 * data[0].nbytes) as many,
    ):
        singly = [one.append(tile) for tile in data]
        parts = [many.extend(part) for part in (data[:3], data[3:3], data[3:])]
    together = [place for part in parts for place in zip(*part, strict=True)]
    assert together == singly
    for path in (tmp_path / "one").iterdir():
        assert (tmp_path / "many" / path.name).read_bytes() == path.read_bytes()
    assert len(list((tmp_path / "many").iterdir())) == 3


def test_a_long_table_is_written_in_parts_without_a_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame({"id": ["a", "b", "c"], "x": [0.1, 1 / 3, 2.0]})
    write_csv(tmp_path / "whole.csv", frame)
    monkeypatch.setattr("superres.core.storage.ROWS_AT_ONCE", 2)
    write_csv(tmp_path / "parts.csv", frame)
    expected = "id,x\na,0.1\nb,0.33333333\nc,2\n"
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "parts.csv").read_text() == expected


def test_a_shard_of_many_tiles_has_a_right_header(tmp_path: Path) -> None:
    data = np.zeros((1234, 1, 1, 3), np.uint8)
    with ShardWriter(tmp_path, "x") as writer:
        for tile in data:
            writer.append(tile)
    assert np.load(tmp_path / "x-00000.npy").shape == data.shape


def test_tiles_of_another_kind_are_refused(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "x") as writer:
        with pytest.raises(ValueError, match="uint8"):
            writer.append(np.zeros((4, 4, 3), np.float32))  # type: ignore[arg-type]
        writer.append(np.zeros((4, 4, 3), np.uint8))
        with pytest.raises(ValueError, match="got"):
            writer.append(np.zeros((4, 5, 3), np.uint8))


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "x-00000.npy").write_bytes(b"nonsense")
    with pytest.raises(SuperresError, match=r"x-00000\.npy"):
        Shards(tmp_path)["x-00000.npy", 0]


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with replacing_folder(out) as folder:
        (folder / "a").write_text("1")
    with pytest.raises(RuntimeError), replacing_folder(out) as folder:
        (folder / "a").write_text("2")
        raise RuntimeError
    assert (out / "a").read_text() == "1"
    with replacing_folder(out) as folder:
        (folder / "b").write_text("3")
    assert [path.name for path in out.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_leftovers_of_a_killed_writer_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "half").write_text("x")
    with replacing_folder(tmp_path / "out") as folder:
        assert not list(folder.iterdir())
    assert not (tmp_path / ".out.partial").exists()


def test_what_a_killed_writer_set_aside_comes_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / ".out.previous").mkdir()
    (tmp_path / ".out.previous" / "a").write_text("1")
    with pytest.raises(RuntimeError), replacing_folder(out):
        raise RuntimeError
    assert (out / "a").read_text() == "1"
    assert recovered(tmp_path / "nothing") == tmp_path / "nothing"


def test_files_are_written_whole(tmp_path: Path) -> None:
    write_bytes(tmp_path / "deep" / "file", b"abc")
    assert (tmp_path / "deep" / "file").read_bytes() == b"abc"
    assert len(list((tmp_path / "deep").iterdir())) == 1


def test_json_refuses_what_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"psnr": float("inf")})
    assert not (tmp_path / "x.json").exists()


def test_manifests(tmp_path: Path) -> None:
    with pytest.raises(SuperresError, match="has not run"):
        read_manifest(tmp_path)
    write_csv(tmp_path / "manifest.csv", pd.DataFrame({"id": ["007"], "split": ["val"]}))
    frame = read_manifest(tmp_path, ("id",))
    assert frame["id"][0] == "007"
    with pytest.raises(SuperresError, match="lacks the columns shard"):
        read_manifest(tmp_path, ("id", "shard"))
    with pytest.raises(SuperresError, match="no tile in split 'test'"):
        rows_of_split(frame, "test", tmp_path)
    write_csv(tmp_path / "manifest.csv", frame.iloc[:0])
    with pytest.raises(SuperresError, match="no rows"):
        read_manifest(tmp_path)


def test_a_column_that_was_added_later_is_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(tmp_path / "manifest.csv", pd.DataFrame({"id": ["a", "b"], "kept": [1, 2]}))
    monkeypatch.setitem(ADDED_COLUMNS, "weight", 0.5)
    monkeypatch.setitem(ADDED_COLUMNS, "kept", 7)
    frame = read_manifest(tmp_path, ("id", "kept", "weight"))
    assert frame["weight"].tolist() == [0.5, 0.5]
    assert frame["kept"].tolist() == [1, 2]
    assert "weight" not in read_manifest(tmp_path, ("id",)).columns


def test_tiles_that_lie_together_are_not_copied_and_the_others_are_stacked(tmp_path: Path) -> None:
    tiles = np.arange(5 * 4 * 4 * 3, dtype=np.uint8).reshape(5, 4, 4, 3)
    with ShardWriter(tmp_path, "train", max_bytes=3 * 48) as writer:
        names, indices = writer.extend(tiles)
    shards = Shards(tmp_path)
    whole = shards.together(names[:3], indices[:3])
    np.testing.assert_array_equal(whole, tiles[:3])
    assert np.shares_memory(whole, shards[names[0], 0])
    for places in ([2, 3], [1, 0], [0, 2], [4]):
        some = shards.together([names[p] for p in places], [indices[p] for p in places])
        np.testing.assert_array_equal(some, tiles[places])
    with pytest.raises(IndexError):
        shards.together([names[4]] * 3, [0, 1, 2])
