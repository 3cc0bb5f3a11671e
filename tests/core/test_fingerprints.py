from __future__ import annotations

from pathlib import Path

from superres.core import fingerprints
from superres.core.fingerprints import changed_files, fingerprint, source_digests


def test_fingerprints_change_with_versions_and_names_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n")
    base = fingerprint([], [tmp_path], "1")
    assert base == fingerprint([], [tmp_path], "1")
    assert base != fingerprint([], [tmp_path], "2")
    assert base != fingerprint([], [tmp_path], "1", "1")
    (tmp_path / "a.csv").rename(tmp_path / "b.csv")
    assert base != fingerprint([], [tmp_path], "1")


def test_source_is_digested_by_rooms_that_are_loaded() -> None:
    digests = source_digests()
    assert {"core/fingerprints.py", "core/errors.py"} <= digests.keys()
    assert all((fingerprints.PACKAGE / name).is_file() for name in digests)


def test_changed_added_and_removed_files_are_named_but_not_rooms_that_one_run_never_loaded() -> (
    None
):
    before = {"core/a.py": "1", "core/b.py": "1", "core/c.py": "1", "entropy/x.py": "1"}
    now = {"core/a.py": "1", "core/b.py": "2", "core/d.py": "1", "explore/y.py": "1"}
    assert changed_files(before, now) == ["core/b.py", "core/c.py", "core/d.py"]
    assert changed_files(before, before) == []
