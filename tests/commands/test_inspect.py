import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from superres.cli import main
from superres.core.images import read_image
from superres.core.storage import ShardWriter, write_csv
from support import ROOT, environment


@pytest.fixture
def folder(tmp_path):
    """Five tiles in two splits with one entropy."""
    rows = []
    path = tmp_path / "pairs"
    path.mkdir()
    for split, count in (("train", 3), ("test", 2)):
        with ShardWriter(path, split) as writer:
            for i in range(count):
                shard, index = writer.append(np.full((4, 4, 3), 10 * i, np.uint8))
                rows.append((split, f"{split}.jpg", shard, index, 0.25 * i))
    columns = ["split", "source", "shard", "index", "entropy_jpeg"]
    write_csv(path / "manifest.csv", pd.DataFrame(rows, columns=columns))
    return path


def test_counts_shards_and_entropies_are_printed(folder, capsys):
    assert main(["inspect", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "5 tiles in 2 shards" in out
    assert "  train: 3 of 1 photographs\n  test: 2 of 1 photographs" in out
    assert "  test-00000.npy: 2 x 4 x 4 x 3 uint8" in out
    assert "jpeg: mean 0.200, from 0.000 to 0.500" in out
    assert f"  0.2-0.3        2 {'#' * 40}" in out


def test_a_sheet_shows_the_tiles(folder, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    assert main(["inspect", str(folder), "--sheet", str(sheet), "--tiles", "3"]) == 0
    image = read_image(sheet)
    # Four pixels of each tile are shown 32 times as large, with 2 pixels between tiles.
    assert image.shape == (258, 258, 3)
    corners = [int(image[y, x, 0]) for y, x in ((0, 0), (127, 127), (0, 130), (130, 0), (129, 0))]
    assert corners == [0, 0, 20, 10, 255]
    assert main(["inspect", str(folder), "--sheet", str(sheet)]) == 1
    assert "exists" in capsys.readouterr().err


def test_what_does_not_fit_the_manifest_is_an_error(folder, capsys):
    np.save(folder / "stray.npy", np.zeros(3))
    assert main(["inspect", str(folder)]) == 1
    assert "stray.npy: a shard that manifest.csv does not name" in capsys.readouterr().err
    (folder / "stray.npy").unlink()
    np.save(folder / "test-00000.npy", np.zeros((1, 4, 4, 3), np.uint8))
    assert main(["inspect", str(folder)]) == 1
    assert "has 1 tiles, manifest.csv names 2 places" in capsys.readouterr().err
    (folder / "test-00000.npy").write_bytes(b"half")
    assert main(["inspect", str(folder)]) == 1
    assert "test-00000.npy: not a readable shard" in capsys.readouterr().err
    assert main(["inspect", str(folder), "--tiles", "0"]) == 1


def test_a_reader_that_has_seen_enough_is_no_error(folder):
    command = f"{sys.executable} -m superres inspect {folder}"
    # The pipe's other end is closed before anything is printed.
    done = subprocess.run(
        ["bash", "-c", f"{{ sleep 1; {command}; echo $? >&2; }} | true"],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "141\n"
