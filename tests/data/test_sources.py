import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from superres.core.errors import SuperresError
from superres.core.images import UnreadableImage
from superres.data import archives
from superres.data.sources import check_copied, check_there, find_sources, matches


def _touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _names(found):
    return [source.name for source in found]


def test_files_are_found_in_subfolders_and_sorted(tmp_path):
    _touch(tmp_path, "b.JPG", "a/z.png", "a/Ä/été 東京.TiFf", "a.webp")
    found = find_sources(tmp_path)
    assert _names(found) == ["a.webp", "a/z.png", "a/Ä/été 東京.TiFf", "b.JPG"]
    assert all(source.named_as_image for source in found)


def test_hidden_files_are_listed_but_never_opened(tmp_path):
    _touch(tmp_path, "a.jpg", ".b.jpg", ".cache/c.jpg", "notes.txt")
    reasons = {source.name: source.reason for source in find_sources(tmp_path)}
    assert reasons == {
        "a.jpg": "",
        ".b.jpg": "hidden file",
        ".cache": "hidden folder",
        "notes.txt": "",
    }


def test_a_hidden_parent_of_the_source_does_not_matter(tmp_path):
    _touch(tmp_path, ".photos/a.jpg")
    assert _names(find_sources(tmp_path / ".photos")) == ["a.jpg"]


def test_links_to_files_count_and_circles_end(tmp_path):
    _touch(tmp_path, "elsewhere/a.jpg", "photos/b.jpg")
    (tmp_path / "photos" / "a.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")
    (tmp_path / "photos" / "circle").symlink_to(tmp_path / "photos")
    reasons = {s.name: s.reason for s in find_sources(tmp_path / "photos")}
    assert reasons == {"a.jpg": "", "b.jpg": "", "circle": "link to a folder"}


def test_a_name_that_is_not_utf8_is_escaped(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.jpg")  # noqa: PTH118 - bytes
    try:
        open(path, "wb").close()  # noqa: PTH123
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    (source,) = find_sources(tmp_path)
    assert source.name == "caf\\xe9.jpg"
    assert source.path.exists()


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a.jpg", "**", True),
        ("a/b/c.jpg", "**", True),
        ("a.jpg", "**/*.jpg", True),
        ("a/b/c.jpg", "**/*.jpg", True),
        ("a/b.jpg", "*.jpg", False),
        ("a/b.jpg", "a/*", True),
        ("a/b/c.jpg", "a/**/c.*", True),
        ("a/c.jpg", "a/**/c.*", True),
        ("a/c.png", "a/**/*.jpg", False),
    ],
)
def test_patterns(name, pattern, expected):
    assert matches(name, pattern) is expected


def test_a_pattern_chooses_among_the_files(tmp_path):
    _touch(tmp_path, "a.jpg", "2024/b.jpg", "2024/c.png")
    assert _names(find_sources(tmp_path, "2024/*")) == ["2024/b.jpg", "2024/c.png"]
    with pytest.raises(SuperresError, match=r"holds no file that matches '\*\.tif'"):
        find_sources(tmp_path, "*.tif")


def test_a_list_names_files_relative_to_itself(tmp_path):
    _touch(tmp_path, "photos/b.jpg", "photos/a b.png")
    (tmp_path / "list.txt").write_text("photos/b.jpg\n\nphotos/a b.png\nphotos/b.jpg\nno.jpg\n")
    found = [(source.name, source.reason) for source in find_sources(tmp_path / "list.txt")]
    assert found == [
        ("no.jpg", "not accessible: No such file or directory"),
        ("photos/a b.png", ""),
        ("photos/b.jpg", ""),
        ("photos/b.jpg", "listed twice"),
    ]


@pytest.fixture(params=["stored.zip", "deflated.zip", "plain.tar"])
def archive(request, tmp_path):
    """An archive of `a.jpg` (`aaa...`) and `sub/b.jpg` (`bbb...`)."""
    path = tmp_path / request.param
    files = {"sub/b.jpg": b"b" * 700, "a.jpg": b"a" * 500}
    if path.suffix == ".zip":
        method = zipfile.ZIP_STORED if path.stem == "stored" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", method) as made:
            made.mkdir("sub")
            for name, content in files.items():
                made.writestr(name, content)
    else:
        with tarfile.open(path, "w") as made:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                made.addfile(info, io.BytesIO(content))
    return path


def test_members_are_read_in_place(archive):
    found = find_sources(archive)
    assert _names(found) == ["a.jpg", "sub/b.jpg"]
    assert [source.content() for source in found] == [b"a" * 500, b"b" * 700]
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


def test_a_damaged_member_is_one_unreadable_file(archive):
    content = bytearray(archive.read_bytes())
    member = next(m for m in archives.members(archive) if m.name == "a.jpg")
    if member.method == "tar":
        damaged = [
            source._replace(member=member._replace(size=10**6)) for source in find_sources(archive)
        ][:1]
    else:
        content[member.offset + 30 + len("a.jpg") + 2] ^= 0xFF
        archive.write_bytes(content)
        damaged = find_sources(archive)[:1]
    with pytest.raises(UnreadableImage, match="damaged in the archive"):
        damaged[0].content()


def test_a_member_that_inflates_beyond_its_word_is_stopped(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("bomb.png", bytes(10**7))
    (member,) = archives.members(tmp_path / "p.zip")
    with pytest.raises(ValueError, match="not the 1000 bytes it says"):
        archives.read_member(tmp_path / "p.zip", member._replace(size=1000))


def test_members_that_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 100)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as made:
        made.writestr("../out.jpg", b"x")
        made.writestr("/root.jpg", b"x")
        made.writestr("large.jpg", bytes(101))
        made.writestr(".hidden.jpg", b"x")
        made.writestr("bz.jpg", b"x", zipfile.ZIP_BZIP2)
        made.writestr("good.jpg", b"x")
    reasons = {source.name: source.reason for source in find_sources(tmp_path / "p.zip")}
    assert reasons == {
        "../out.jpg": "its name leads out of the archive",
        "/root.jpg": "its name leads out of the archive",
        "large.jpg": "101 bytes, more than the 100 that a member may have",
        ".hidden.jpg": "hidden file",
        "bz.jpg": "compressed by method 12; deflate can be read",
        "good.jpg": "",
    }
    with tarfile.open(tmp_path / "p.tar", "w") as made:
        for content in (b"old", b"newer"):
            info = tarfile.TarInfo("./a.jpg")
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    found = [(source.name, source.reason) for source in find_sources(tmp_path / "p.tar")]
    assert found == [
        ("a.jpg", "replaced by a later member of that name"),
        ("a.jpg", ""),
        ("link.jpg", "a link or device in the archive"),
    ]


def test_a_compressed_tar_says_what_to_do(tmp_path):
    with tarfile.open(tmp_path / "p.tar.gz", "w:gz"):
        pass
    with pytest.raises(SuperresError, match=r"decompress it to \.tar, or make a zip"):
        find_sources(tmp_path / "p.tar.gz")


def test_errors_say_what_and_where(tmp_path):
    with pytest.raises(SuperresError, match=r"data\.source: .*absent: no such folder"):
        find_sources(tmp_path / "absent")
    with pytest.raises(SuperresError, match=r"data\.pattern"):
        find_sources(tmp_path / "*.jpg")
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(SuperresError, match=r"a\.jpg: neither a folder, an archive nor"):
        find_sources(tmp_path / "a.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SuperresError, match=r"empty: holds no file"):
        find_sources(tmp_path / "empty")


def test_what_is_missing_from_a_copy_of_dvc_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dvc exp run --temp` takes what Git tracks to .dvc/tmp/exps/standalone/NAME."""
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1"
    copy.mkdir(parents=True)
    with pytest.raises(SuperresError, match=r"data.source: mine: no such folder or file$"):
        check_there("mine")
    check_copied("mine")  # outside of such a copy, DVC itself says what it lacks
    monkeypatch.chdir(copy)
    with pytest.raises(SuperresError) as caught:
        check_copied("mine")
    assert str(caught.value) == (
        "data.source: mine: no such folder or file in this copy of the repository, which `dvc exp "
        "run --temp` and `--queue` make of what Git tracks: give an absolute path, or have it "
        "copied too, by --copy-paths mine"
    )
    with pytest.raises(SuperresError, match=r"Git tracks: give an absolute path$"):
        find_sources("../photos")
    with pytest.raises(SuperresError, match=r"no such folder or file$"):
        check_there(tmp_path / "absent")
    check_there(tmp_path)
