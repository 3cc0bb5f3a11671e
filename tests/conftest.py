"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from support import copy_project, run, tiny_params, write_photographs


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project in which the whole tiny pipeline has run and is committed."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny_params(), sort_keys=False))
    write_photographs(folder / "photographs")
    run(folder, "dvc", "repro")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "run")
    return folder
