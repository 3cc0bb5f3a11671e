"""`superres restore` on a folder again: what is done is known, and nothing else is taken for it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from forking import Run, story
from picture_files import picture
from superres.restoration.record import RECORD
from support import environment

COMMAND = """
import sys
import superres.commands.restore
from superres.cli import main
if __name__ == "__main__":
    sys.exit(main(["restore", "in", "out", "--device", "cpu", "--samples", "2", *{words}]))
"""
ENDS = {
    "before its first file": """
from pathlib import Path
after(Path, "replace", 1, when=lambda path, *_: False)
import superres.restoration.picture_files as files
files.write_bytes = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
""",
    "with half a line of its record": """
import json, superres.restoration.record as record
def text(line):
    os.write(os.open("out/.superres.jsonl", os.O_WRONLY | os.O_APPEND), b'{"planned": "a.p')
    os.kill(os.getpid(), signal.SIGKILL)
record._text = text
""",
    "between the samples of a picture": """
import superres.restoration.picture_files as files
after(files, "write_bytes", 1)
""",
    "between two pictures": """
import superres.restoration.picture_files as files
after(files, "write_bytes", 3)
""",
    "with half a file": """
import superres.core.storage as storage
after(storage.os, "fsync", 2)
""",
}


def made(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder, by name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of pictures, one of which becomes a PNG."""
    for name in ("a.png", "b.gif", "deep/c.jpg", "d.bmp"):
        picture(tmp_path / "in" / name)
    return tmp_path / "in"


def test_a_folder_killed_at_any_moment_ends_in_the_same_bytes(
    model: Path, folder: Path, tmp_path: Path
) -> None:
    script = tmp_path / "restore.py"
    words = ["--model", str(model), "--steps", "2", "--window", "32"]
    script.write_text(COMMAND.format(words=words))
    killed, through = tmp_path / "killed", tmp_path / "through"
    for place in (killed, through):
        place.mkdir()
        (place / "in").symlink_to(folder)
    runs = [Run(str(killed), hook, stage=str(script)) for hook in ENDS.values()]
    last = [Run(str(place), stage=str(script)) for place in (killed, killed, through)]
    ends = story([*runs, *last], environment())
    for name, end in zip(ENDS, ends, strict=False):
        assert end.status == -signal.SIGKILL, (name, end.output)
    going_on, nothing, whole = ends[len(ENDS) :]
    assert [going_on.status, nothing.status, whole.status] == [0, 0, 0], going_on.output
    assert made(killed / "out") == made(through / "out")
    assert len(made(through / "out")) == 9  # two of each, and the record
    assert "2 restored" in going_on.output and "2 done already" in going_on.output
    assert "0 restored" in nothing.output and "4 done already" in nothing.output


def test_new_and_changed_pictures_alone_are_restored(
    restore: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert restore(folder, out) == 0
    picture(folder / "e.png")
    (out / "a.png").unlink()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.*")}
    capsys.readouterr()
    assert restore(folder, out) == 0
    said = capsys.readouterr().out
    assert "2 restored" in said and "3 done already" in said
    assert (out / "a.png").is_file() and (out / "e.png").is_file()
    for path, written in before.items():
        assert path.name == RECORD or path.stat().st_mtime_ns == written
    picture(folder / "e.png", 20, 20, 3)
    assert restore(folder, out) == 1  # no longer what it was made of
    assert "e.png: exists already; --overwrite replaces it" in capsys.readouterr().err
    assert restore(folder, out, "--update") == 0
    said = capsys.readouterr().out
    assert "1 restored" in said and "4 done already" in said
    with Image.open(out / "e.png") as image:
        assert image.size == (40, 40)


@pytest.mark.parametrize(
    "words", [["--blur", "0.5"], ["--window", "32"], ["--precision", "bf16"], ["--seed", "1"]]
)
def test_other_settings_are_not_done(
    restore: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    out = tmp_path / "out"
    assert restore(folder, out, *words) == 0
    before = made(out)
    capsys.readouterr()
    assert restore(folder, out) == 1
    assert capsys.readouterr().err.count("exists already") == 4
    assert made(out) == before
    assert restore(folder, out, *words, "--batch", 2) == 0  # which is rounding alone
    assert "4 done already" in capsys.readouterr().out


def test_another_model_is_not_done_and_update_replaces(
    restore: Any, enlarger: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert restore(folder, out) == 0
    first = made(out)
    capsys.readouterr()
    assert restore(folder, out, model=enlarger) == 1
    assert restore(folder, out, "--update", model=enlarger) == 0
    assert "4 restored" in capsys.readouterr().out
    second = made(out)
    assert first.keys() == second.keys() and first["a.png"] != second["a.png"]
    assert restore(folder, out, "--update", model=enlarger) == 0
    assert "4 done already" in capsys.readouterr().out


def test_overwrite_makes_all_anew(
    restore: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        assert restore(folder, out, "--overwrite") == 0
        assert "4 restored" in capsys.readouterr().out


def test_a_picture_edited_since_is_not_taken_for_ours(
    restore: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert restore(folder, out) == 0
    edited = picture(out / "a.png").read_bytes()
    assert restore(folder, out) == 1
    assert "a.png: exists already" in capsys.readouterr().err
    assert (out / "a.png").read_bytes() == edited


def test_the_record_names_outputs_in_order(restore: Any, folder: Path, tmp_path: Path) -> None:
    assert restore(folder, tmp_path / "out") == 0
    lines = [json.loads(text) for text in (tmp_path / "out" / RECORD).read_text().splitlines()]
    assert [line["output"] for line in lines] == ["a.png", "b.png", "d.bmp", "deep/c.jpg"]


def test_a_picture_that_was_named_leaves_no_record(restore: Any, tmp_path: Path) -> None:
    assert restore(picture(tmp_path / "a.png"), tmp_path / "out") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
