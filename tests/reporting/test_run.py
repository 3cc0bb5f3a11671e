"""What the page is made of must be there and whole; an error names the file."""

import pandas as pd
import pytest
from tiny_run import build, change_json, write

from superres.core.errors import SuperresError


@pytest.mark.parametrize(
    "name",
    [
        "data/samples/sampling.json",
        "data/samples/manifest.csv",
        "data/samples/test-00000.npy",
        "data/pairs/manifest.csv",
        "data/tiles/test-00000.npy",
        "reports/measured.json",
        "reports/metrics.json",
        "reports/notes.json",
        "reports/per_tile.csv",
        "reports/swd.csv",
        "reports/photographs.csv",
        "reports/train.csv",
        "reports/selection.csv",
        "reports/explore/explore.json",
        "reports/explore/steps.csv",
        "reports/explore/sizes.csv",
        "reports/explore/entropies.png",
    ],
)
def test_a_missing_or_spoilt_input_is_named(tmp_path, name):
    folder = build(tmp_path)
    (folder / "reports" / "index.html").write_text("the old page")
    path = folder / name
    for spoil in (lambda: path.write_text("no,\n"), path.unlink):
        spoil()
        with pytest.raises(SuperresError, match=path.name):
            write(folder)
    assert (folder / "reports" / "index.html").read_text() == "the old page"


def test_metrics_without_a_contender_are_refused(tmp_path):
    folder = build(tmp_path)
    change_json(folder / "reports" / "metrics.json", lambda m: m.pop("estimate"))
    with pytest.raises(SuperresError, match=r"metrics\.json: lacks estimate"):
        write(folder)


def test_levels_without_a_contender_are_refused(tmp_path):
    folder = build(tmp_path)
    path = folder / "reports" / "swd.csv"
    rows = pd.read_csv(path)
    rows[rows["contender"] != "model"].to_csv(path, index=False)
    with pytest.raises(SuperresError, match=r"swd\.csv: lacks .* 'model'"):
        write(folder)


def test_explore_may_not_name_files_elsewhere(tmp_path):
    folder = build(tmp_path)
    (folder / "reports" / "explore" / "explore.json").write_text(
        '{"pictures": {"../notes.json": "x"}, "notes": []}'
    )
    with pytest.raises(SuperresError, match=r"explore\.json: names '\.\./notes\.json'"):
        write(folder)


def test_captions_without_notes_are_refused(tmp_path):
    folder = build(tmp_path)
    (folder / "reports" / "explore" / "explore.json").write_text('{"entropies.png": "x"}')
    with pytest.raises(SuperresError, match=r"explore\.json: lacks 'pictures' or 'notes'"):
        write(folder)


def test_a_restored_tile_that_is_missing_is_named(tmp_path):
    folder = build(tmp_path)
    path = folder / "data" / "samples" / "manifest.csv"
    rows = pd.read_csv(path)
    rows[rows["id"] != "t8-0"].to_csv(path, index=False)
    with pytest.raises(SuperresError, match=r"no tile of pair t8-0 by 'estimate'"):
        write(folder)
