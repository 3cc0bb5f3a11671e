"""Which preset params are nearest to, and the hashes, versions and times of a run."""

import copy
import json
import os
import re

import pytest
import yaml
from tiny_run import build, write

from superres.core.errors import SuperresError
from superres.core.params import read_params
from superres.reporting import environment
from superres.reporting.__main__ import main
from superres.reporting.environment import BEGIN, END, write_run
from superres.reporting.formatting import duration
from superres.reporting.origin import differences, read_origin
from support import ROOT, write_yaml

DEFAULT = ROOT / "presets" / "default.yaml"
LOCK = {
    "stages": {
        "train": {"outs": [{"path": "models/train", "md5": "ab12.dir", "size": 7}]},
        "report": {"outs": [{"path": "reports/a|b.html", "md5": "cd34", "size": 9}]},
    }
}


def test_the_default_preset_is_what_the_project_comes_with():
    assert read_params(DEFAULT) == read_params(ROOT / "params.yaml"), (
        "the defaults have changed: cp params.yaml presets/default.yaml"
    )


def test_differences_are_by_dotted_key_and_leave_out_the_report():
    preset = read_params(DEFAULT)
    here = copy.deepcopy(preset)
    here["sampler"]["steps"] = 25
    here["degrade"]["corruptions"] = []
    here["train"]["extra"] = "x"
    here["data"]["split"].pop("val")
    here["report"]["title"] = "another"
    found = {one.key: (one.preset, one.here) for one in differences(preset, here)}
    assert set(found) == {"sampler.steps", "degrade.corruptions", "train.extra", "data.split.val"}
    assert found["sampler.steps"] == ("50", "25")
    assert found["degrade.corruptions"][1] == "[]"
    assert found["train.extra"] == ("–", "x")
    assert found["data.split.val"] == ("0.15", "–")
    assert differences(preset, preset) == []


@pytest.mark.parametrize("name", ["default.yaml", "recipe-128.yaml", "recipe-256.yaml"])
def test_the_nearest_preset_is_named(tmp_path, name):
    params = read_params(ROOT / "presets" / name)
    params["sampler"]["steps"] = 33
    origin = read_origin(write_yaml(tmp_path / "params.yaml", params), ROOT / "presets")
    assert origin.preset == name
    assert [(one.key, one.here) for one in origin.differences] == [("sampler.steps", "33")]


def test_a_folder_without_presets_is_named(tmp_path):
    with pytest.raises(SuperresError, match="holds no preset"):
        read_origin(ROOT / "params.yaml", tmp_path)


def test_times_become_images_per_second():
    noted = {"train": {"seconds": 4.0, "images": 100, "peak_memory_mib": 7}, "tile": {"seconds": 0}}
    noted["degrade"] = {"seconds": 2.0, "pairs": 9000, "by": {"a": {"1": 3.5}, "b": 2}}
    train, tile, degrade = environment.stage_times(noted)
    assert (train.seconds, train.images, train.rate) == (4.0, 100, 25.0)
    assert (train.counted, train.rest) == ("100", "peak memory mib 7")
    assert (tile.images, tile.rate, tile.rest) == (None, None, "")
    assert (degrade.counted, degrade.rate) == ("9\u202f000 pairs", 4500.0)
    assert degrade.rest == "by 2 to 3.5"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.42, "0.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (725, "12 min 5 s"),
        (10920, "3 h 2 min"),
    ],
)
def test_times_are_told_as_one_says_them(seconds, said):
    assert duration(seconds) == said


def test_hashes_are_those_of_the_lock(tmp_path):
    lock = write_yaml(tmp_path / "dvc.lock", LOCK)
    first, second = environment.locked_outs(lock)
    assert (first.stage, first.path, first.md5, first.size) == (
        "train",
        "models/train",
        "ab12.dir",
        7,
    )
    assert second.path == "reports/a|b.html"
    assert environment.locked_outs(tmp_path / "none") == []
    for spoilt in ("[1", "3", "stages: {train: {outs: [{path: x}]}}"):
        lock.write_text(spoilt)
        with pytest.raises(SuperresError, match=r"dvc\.lock: not a lock of DVC"):
            environment.locked_outs(lock)


def test_versions_and_hardware_are_this_machine_s():
    versions, hardware = dict(environment.versions()), dict(environment.hardware())
    assert re.match(r"3\.\d+\.\d+", versions["Python"])
    assert versions["torch"].startswith("2.")
    assert versions["revision"].split()[0].isalnum()
    assert f"{os.cpu_count()} cores" in hardware["processor"]


def test_the_page_of_the_machine_is_no_out_of_a_stage():
    """DVC would take it for a change: it differs from run to run."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert {"reports/report.md": {"persist": True}} in stages["report"]["outs"]
    text = json.dumps(stages)
    assert "reports/run." not in text and "timing" not in text
    # Yet whoever runs `dvc repro` gets it, after all else: some output of every stage is read.
    assert "outs" not in stages["machine"]
    read = {dep for stage in stages.values() for dep in stage["deps"]} | {"data/photos"}
    for name in set(stages) - {"machine"}:
        assert read & {out for outs in stages[name]["outs"] for out in outs}, name


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = build(tmp_path_factory.mktemp("run"))
    write(folder)
    return folder / "reports"


def test_a_copy_of_the_page_tells_where_it_ran(written, tmp_path):
    lock = write_yaml(tmp_path / "dvc.lock", LOCK)
    timing = {"train": {"seconds": 4.0, "images": 100, "note": "<b>"}}
    (written / "timing.json").write_text(json.dumps(timing))
    write_run(written, lock)
    copy = (written / "run.html").read_text(encoding="utf-8")
    page = (written / "index.html").read_text(encoding="utf-8")
    assert "25.0" in copy and "note &lt;b&gt;" in copy and "ab12.dir" in copy
    assert "found in DVC’s cache: report." in copy
    # The rest is the page as it is, but for the link to the copy.
    assert copy.startswith(page.split(BEGIN)[0]) and copy.endswith(page.split(END)[1])
    assert 'href="run.html"' in page and "run.html" not in copy
    twin = (written / "run.md").read_text(encoding="utf-8")
    assert "| train | 4.0 s | 100 | 25.0 | note &lt;b&gt; |" in twin
    assert "| `reports/a\\|b.html` | report | 9 | `cd34` |" in twin


def test_where_nothing_ran_that_is_said(written, tmp_path):
    (written / "timing.json").unlink(missing_ok=True)
    write_run(written, tmp_path / "none")
    copy = (written / "run.html").read_text(encoding="utf-8")
    assert "No stage ran here" in copy and "<h3>Hashes</h3>" not in copy


@pytest.mark.parametrize("spoilt", [None, "another page"])
def test_a_copy_needs_its_page(tmp_path, spoilt):
    if spoilt:
        (tmp_path / "index.html").write_text(spoilt)
    with pytest.raises(SuperresError, match=r"index\.html: .*run the stage report"):
        write_run(tmp_path)


def test_spoilt_times_are_named(tmp_path, monkeypatch, capsys):
    folder = build(tmp_path)
    write(folder)
    monkeypatch.chdir(folder)
    for spoilt in ("[1", '{"train": {}}', '{"train": 3}', "[]"):
        (folder / "reports" / "timing.json").write_text(spoilt)
        assert main() == 1
        assert "timing.json" in capsys.readouterr().err
    (folder / "reports" / "timing.json").unlink()
    assert main() == 0
    assert (folder / "reports" / "run.html").is_file()
