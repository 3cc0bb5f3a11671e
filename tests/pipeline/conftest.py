"""A pipeline that has run, to be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the tiny pipeline of this worker's own.

    Tests in this folder run DVC and edit files in it; each leaves it as it was.
    """
    folder = tmp_path_factory.mktemp("pipeline") / "project"
    return shutil.copytree(project, folder, symlinks=True)
