"""What an edit redoes: the version, messages, previews and the report never retrain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import run

HARMLESS = (
    "__init__.py",  # the version lives there
    "training/messages.py",
    "training/previews.py",
    "reporting/page.py",
    "reporting/tables.py",
    "reporting/page.html.jinja",
    "commands/restore.py",
    "config/check.py",
)


@pytest.fixture
def package(project: Path) -> Iterator[Path]:
    """Return the source code of the project that has run; edits are taken back."""
    yield project / "src" / "superres"
    run(project, "git", "checkout", "--quiet", "--", "src")


def edit(file: Path) -> None:
    """Change a file's bytes, the version number if it has one."""
    text = file.read_text(encoding="utf-8")
    comment = "{# edited #}" if file.suffix == ".jinja" else "# edited"
    version = text.replace('__version__ = "', '__version__ = "9.')
    file.write_text(f"{version}\n{comment}\n", encoding="utf-8")


def test_version_wording_previews_and_report_leave_the_training_as_it_is(package: Path) -> None:
    for name in HARMLESS:
        edit(package / name)
    assert '"9.' in (package / "__init__.py").read_text()
    compiled = package / "training" / "__pycache__" / "loop.cpython-311.pyc"
    compiled.parent.mkdir(exist_ok=True)
    compiled.write_bytes(b"stale")
    assert "up to date" in run(package.parents[1], "dvc", "status", "train").stdout
    compiled.unlink()
    changed = run(package.parents[1], "dvc", "status", "report").stdout
    assert "src/superres/reporting" in changed, "what the page is made of redoes the page"


@pytest.mark.parametrize("name", ["networks/unet.py", "training/loop.py", "core/seeding.py"])
def test_what_the_weights_follow_from_trains_again(package: Path, name: str) -> None:
    edit(package / name)
    changed = run(package.parents[1], "dvc", "status", "train").stdout
    assert f"src/superres/{name.split('/', maxsplit=1)[0]}" in changed
