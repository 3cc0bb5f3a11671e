"""The tool that writes the stages' code dependencies into dvc.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from support import ROOT
from tools import code_dependencies as tool


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of dvc.yaml beside the project's code, which the tool works on."""
    for name in ("src", "stages", "params.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "PACKAGE", tmp_path / "src" / "superres")
    return tmp_path / "dvc.yaml"


def test_it_leaves_the_projects_own_file_as_it_is(copy: Path) -> None:
    tool.main()
    assert copy.read_bytes() == (ROOT / "dvc.yaml").read_bytes(), "run `make deps`"


def test_it_mends_code_and_keeps_data_and_comments(copy: Path) -> None:
    right = copy.read_text()
    without = right.replace("      - src/superres/networks\n", "")
    wrong = without.replace("      - stages/tile.py\n", "      - src/superres/reporting\n")
    assert len(wrong) < len(right) and wrong != without
    copy.write_text(wrong)
    tool.main()
    assert copy.read_text() == right


def test_new_stages_get_theirs(copy: Path) -> None:
    document = yaml.safe_load(copy.read_text())
    command = "PYTHONPATH=src python stages/photos.py"
    document["stages"]["another"] = {"cmd": command, "deps": ["weights.json"]}
    copy.write_text(yaml.safe_dump(document, sort_keys=False))
    tool.main()
    wanted = ["weights.json", "src/superres/core", "src/superres/data", "stages/photos.py"]
    assert yaml.safe_load(copy.read_text())["stages"]["another"]["deps"] == wanted
