"""Another Python than the project's is told at the first command, with what to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from superres.config import python_environment as environment
from support import ROOT

DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image", "yaml": "pyyaml"}


def test_every_dependency_is_looked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split("[<>=]", each)[0] for each in project["dependencies"]} - {"dvc"}
    assert {DISTRIBUTIONS.get(name, name) for name in environment.MODULES} == wanted
    assert project["requires-python"] == f">={'.'.join(map(str, environment.OLDEST))}"


def test_this_one_is_right() -> None:
    assert environment.fault() is None


def test_what_is_lacking_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said = environment.fault(["json", "no_such_module", "another"])
    assert said is not None and sys.executable in said
    assert "it lacks no_such_module, another. Stages run the first `python` in PATH" in said
    assert "`source .venv/bin/activate`, after `make env`" in said
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    said = environment.fault([])
    assert said is not None and "(Python 3.9)" in said and "older than 3.11" in said


def test_the_check_says_so_without_any_dependency() -> None:
    """A Python without site-packages stands for the system's."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "superres.config"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "is not the environment of the project: it lacks" in done.stderr
    assert "pandas" in done.stderr


def test_every_stage_that_computes_begins_with_the_check() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name in stages.keys() - {"machine"}:
        assert stages[name]["cmd"][0] == "${check}", name
