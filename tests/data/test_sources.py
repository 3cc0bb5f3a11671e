import os

import pytest

from superres.data.sources import find_sources
from superres.errors import SuperresError


def _touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_are_found_in_subfolders_and_sorted(tmp_path):
    _touch(tmp_path, "b.JPG", "a/z.png", "a/Ä/été 東京.TiFf", "a.webp")
    names = [source.name for source in find_sources(tmp_path)]
    assert names == ["a.webp", "a/z.png", "a/Ä/été 東京.TiFf", "b.JPG"]


def test_hidden_and_other_files_are_passed_over(tmp_path):
    _touch(tmp_path, "a.jpg", ".b.jpg", "._a.jpg", ".cache/c.jpg", "notes.txt", "jpg", "x.jpg.bak")
    assert [source.name for source in find_sources(tmp_path)] == ["a.jpg"]


def test_a_hidden_parent_of_the_source_does_not_matter(tmp_path):
    _touch(tmp_path, ".photos/a.jpg")
    assert [source.name for source in find_sources(tmp_path / ".photos")] == ["a.jpg"]


def test_links_to_files_count_and_circles_end(tmp_path):
    _touch(tmp_path, "elsewhere/a.jpg", "photos/b.jpg")
    (tmp_path / "photos" / "a.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")
    (tmp_path / "photos" / "circle").symlink_to(tmp_path / "photos")
    names = [source.name for source in find_sources(tmp_path / "photos")]
    assert names == ["a.jpg", "b.jpg"]


def test_a_name_that_is_not_utf8_is_escaped(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.jpg")  # noqa: PTH118 - bytes
    try:
        open(path, "wb").close()  # noqa: PTH123
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    (source,) = find_sources(tmp_path)
    assert source.name == "caf\\xe9.jpg"
    assert source.path.exists()


def test_errors_say_what_and_where(tmp_path):
    with pytest.raises(SuperresError, match=r"data\.source: .*absent: no such folder"):
        find_sources(tmp_path / "absent")
    _touch(tmp_path, "folder/notes.txt", "a.jpg")
    with pytest.raises(SuperresError, match=r"a\.jpg: not a folder"):
        find_sources(tmp_path / "a.jpg")
    with pytest.raises(SuperresError, match=r"folder: holds no photograph .*\.jpg"):
        find_sources(tmp_path / "folder")
