"""`superres restore`: files of every kind, and everything that may be wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from picture_files import kind_of, picture
from superres.cli import main
from superres.commands import restore as restore_command
from superres.entropy.estimator import EntropyEstimator, EstimatorSpec, save_estimator
from superres.restoration import planning
from superres.restoration.record import RECORD
from superres.restoration.restorer import Restorer


def test_a_folder_is_mirrored_and_failures_do_not_stop_the_others(
    restore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    for name in ("a.png", "deep/er/b.jpg", "z.webp"):
        picture(folder / name)
    (folder / "notes.txt").write_text("no picture")
    (folder / "deep" / "fake.png").write_text("text named as a picture")
    whole = picture(folder / "cut.png", 60, 60, 3).read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").touch()
    assert restore(folder, tmp_path / "out") == 1
    made = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    assert made == {"a.png", "deep/er/b.jpg", "z.webp", RECORD}
    said = capsys.readouterr()
    failures = [line for line in said.err.splitlines() if line.startswith("failed: ")]
    assert len(failures) == 3
    assert [line for line in failures if "fake.png: not an image in a known format" in line]
    assert [line for line in failures if "empty.jpg: the file is empty" in line]
    assert "3 restored" in said.out and "3 failed" in said.out and "1 other" in said.out


def test_a_decompression_bomb(
    restore: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    source = picture(tmp_path / "bomb.png", 30, 30, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    assert restore(source, tmp_path / "out.png") == 1
    assert "bomb.png: Image size (900 pixels) exceeds limit" in capfd.readouterr().err
    assert not (tmp_path / "out.png").exists()


@pytest.mark.usefixtures("fp32_alone")
def test_a_precision_that_only_costs_time_is_named(
    restore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = picture(tmp_path / "a.png")
    for number, (precision, lines) in enumerate((("fp32", 0), ("bf16", 1))):
        assert restore(source, tmp_path / f"{number}.png", "--precision", precision) == 0
        slow = "--precision: this processor has no instructions for bf16; fp32 will be faster"
        assert capsys.readouterr().err.count(slow) == lines


def test_globs(restore: Any, tmp_path: Path) -> None:
    for name in ("x/a.png", "x/b.png", "y/c.png", "y/d.jpg"):
        picture(tmp_path / "in" / name)
    assert restore(tmp_path / "in" / "*" / "*.png", tmp_path / "out") == 0
    made = sorted(p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("out/*/*"))
    assert made == ["x/a.png", "x/b.png", "y/c.png"]


def test_the_input_is_never_overwritten(
    restore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = picture(tmp_path / "a.png")
    before = source.read_bytes()
    (tmp_path / "link.png").symlink_to(source)
    os.link(source, tmp_path / "hard.png")
    for out in (source, tmp_path / "link.png", tmp_path / "hard.png", tmp_path):
        assert restore(source, out, "--overwrite") == 1
        assert "is the input itself, which is never overwritten" in capsys.readouterr().err
    assert source.read_bytes() == before


def test_outputs_are_replaced_only_where_asked(
    restore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    before = out.read_bytes()
    assert restore(source, out) == 1
    assert "b.png: exists already; --overwrite replaces it" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert restore(source, out, "--overwrite") == 0
    assert kind_of(out)[2] == (24, 20)


def test_a_killed_write_leaves_the_old_file(
    restore: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    before = out.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert restore(source, out, "--overwrite") == 1
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_two_inputs_for_one_output(
    restore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = picture(tmp_path / "x" / "a.png"), picture(tmp_path / "y" / "a.png")
    assert restore(first, second, tmp_path / "out") == 1
    assert "would both become" in capsys.readouterr().err
    for name in ("a.gif", "b.gif", "c", "d.001", "d.002"):
        path = tmp_path / "x" / name
        picture(path, format="GIF" if path.suffix == ".gif" else "PNG")
    words = [tmp_path / "x" / name for name in ("a.gif", "a.png", "b.gif", "c", "d.001", "d.002")]
    assert restore(*words, tmp_path / "out") == 0
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == [RECORD, "a.gif.png", "a.png", "b.png", "c.png", "d.001.png", "d.002.png"]


def test_an_output_that_is_another_input(
    restore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a second name of it as well; `--samples` makes names of its own."""
    first, second = picture(tmp_path / "a.gif"), picture(tmp_path / "a.webp", lossless=True)
    numbered = picture(tmp_path / "a-1.png")
    os.link(second, tmp_path / "a.png")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert restore(first, second, tmp_path, "--overwrite") == 1
    assert f"a.png: is another input, {second}, which is never" in capsys.readouterr().err
    assert restore(first, numbered, tmp_path, "--overwrite", "--samples", 1) == 1
    capsys.readouterr()
    (tmp_path / "a.png").unlink()
    assert restore(first, numbered, tmp_path, "--overwrite", "--samples", 2) == 1
    assert f"a-1.png: is another input, {numbered}, which" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before if path.exists()}.items() <= before.items()


def test_two_names_for_one_output(
    restore: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where letters' case does not count: what was just made is not replaced."""
    first, second = picture(tmp_path / "x" / "a.png"), picture(tmp_path / "x" / "b.png")
    real = planning.identity

    def without_case(path: Path) -> Any:
        return real(path.with_name(path.name.replace("b", "a")) if "out" in path.parts else path)

    monkeypatch.setattr(planning, "identity", without_case)
    monkeypatch.setattr(restore_command, "identity", without_case)
    assert restore(first, second, tmp_path / "out", "--overwrite") == 1
    assert f"b.png: has just been made of {first}" in capsys.readouterr().err


def test_what_memory_does_not_hold(
    restore: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One picture fails, the others are restored; any other error of torch is a fault of ours."""
    large, small = picture(tmp_path / "a.png", 50, 50, 3), picture(tmp_path / "b.png")
    run = Restorer.run

    def short(self: Restorer, image: Any, *rest: Any) -> Any:
        if image.size[0] == 50:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")
        return run(self, image, *rest)

    monkeypatch.setattr(Restorer, "run", short)
    assert restore(large, small, tmp_path / "out") == 1
    assert "a.png: not enough memory; a smaller --window or" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"b.png", RECORD}
    monkeypatch.setattr(Restorer, "run", lambda *_: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="tensor"):
        restore(small, tmp_path / "new")


def test_an_interrupt_leaves_nothing_behind(
    restore: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    wanted, calls = os.fsync, []

    def interrupted(file: int) -> None:
        calls.append(file)
        if len(calls) > 3:  # the second file, after its line and those of the first
            raise KeyboardInterrupt
        wanted(file)

    monkeypatch.setattr(os, "fsync", interrupted)
    assert restore(first, second, tmp_path / "out") == 130
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.png", RECORD}


def test_names_that_the_terminal_cannot_show(model: Path, tmp_path: Path) -> None:
    """Nor is a closed standard error, or standard input, a reason to fail."""
    name = "\u65e5\u672c \u00e9 \udcff.png"
    (tmp_path / name).write_bytes(picture(tmp_path / "a.png").read_bytes())
    words = ["restore", str(tmp_path / name), "out", "--model", str(model), "--estimate"]
    script = f"import sys; from superres.cli import main; sys.exit(main({words!r}))"
    for closed in ("2>&-", "<&-"):
        done = subprocess.run(
            ["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, script],
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": "ascii", "SUPERRES_DEVICE": "cpu"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0 and b"\\u65e5\\u672c \\xe9 \\udcff.png" in done.stdout
        (tmp_path / "out" / name).unlink()


def test_no_progress_bar_for_what_takes_no_time(
    restore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert restore(picture(tmp_path / "a.png"), tmp_path / "out") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.png", "out.png"], "nowhere.png: not found"),
        (["*.xyz", "out"], "*.xyz: matches nothing"),
        (["hollow", "out"], "hollow: no picture to restore"),
        (["a.png", "out.xyz"], "out.xyz: unknown format '.xyz'"),
        (["a.png", "b.png", "c.png"], "c.png: is a file; several pictures go into a folder"),
        (["a.png", "c.png/out.png"], "c.png: is a file where a folder is wanted"),
        (["a.png", "out.png", "--jpeg", "1.5"], "--jpeg: must be between 0 and 1, got 1.5"),
        (
            ["a.png", "out.png", "--steps", "101"],
            "steps: must be between 1 and 100, the model's timesteps, got 101",
        ),
        (["a.png", "out.png", "--samples", "0"], "--samples: must be at least 1, got 0"),
        (["a.png", "out.png", "--window", "33"], "window: must be a positive multiple"),
        (["a.png", "out.png", "--entropy", "auto"], "no estimator of entropies there"),
        (["a.png", "out.png", "--model", "hollow"], "hollow: not a model folder"),
        (["a.png", "out.png", "--jpeg", "1", "--model", "gone"], "gone: not a model folder"),
        (["a.png", "out.png", "--model", "other"], "model.json: "),
        (["a.png", "out.png", "--device", "abacus"], "device 'abacus' cannot be used"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / name)
    (tmp_path / "hollow").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.json").write_text('{"format": "another"}')
    before = sorted(tmp_path.rglob("*"))
    model_words = [] if "--model" in words else ["--model", str(model)]
    assert main(["restore", *words, *model_words]) == 1
    err = capsys.readouterr().err
    assert err.startswith("superres restore: error: ") and err.count("\n") == 1 and said in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_written_to(
    restore: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = picture(tmp_path / "a.png")
    # To root every folder is open, so that permissions alone would test nothing.
    monkeypatch.setattr(planning.os, "access", lambda path, mode: False)
    assert restore(source, tmp_path / "new" / "b.png") == 1
    assert f"{tmp_path}: cannot be written to" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_samples_differ_and_a_seed_repeats_them(restore: Any, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    for folder, batch in (("one", 1), ("two", 7)):
        words = ["--samples", 2, "--seed", 3, "--batch", batch]
        assert restore(source, tmp_path / folder, *words, estimate=False) == 0
    made = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert made == ["a-1.png", "a-2.png"]
    first, second, again = (
        np.asarray(Image.open(tmp_path / name)).astype(int)
        for name in ("one/a-1.png", "one/a-2.png", "two/a-1.png")
    )
    assert np.abs(first - again).max() <= 1 < np.abs(first - second).max()


def test_auto_prints_and_records_what_it_used(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model, tmp_path / "models" / "best")
    torch.manual_seed(0)
    spec = EstimatorSpec(
        format="superres-entropy-1",
        entropies=["blur", "jpeg"],
        degradation={"scale": 2},
        channels=8,
        caution=2,
    )
    save_estimator(tmp_path / "models" / "entropy", EntropyEstimator(spec))
    words = [picture(tmp_path / "a.png"), tmp_path / "b.png", "--model", tmp_path / "models/best"]
    more = ["--entropy", "auto", "--jpeg", "0.5", "--estimate"]
    assert main(["restore", *map(str, words), *more]) == 0
    said = capsys.readouterr().out
    with Image.open(tmp_path / "b.png") as image:
        told = json.loads(image.text["superres"])["entropies"]
    assert told["jpeg"] == 0.5 and 0 < told["blur"] < 1
    assert f"blur {told['blur']:g} (estimated), jpeg 0.5\n" in said


def test_a_sheet_to_choose_from(restore: Any, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.jpg", 90, 100, 3)
    assert restore(source, tmp_path / "out", "--surf") == 0
    (sheet,) = (tmp_path / "out").iterdir()
    assert sheet.name == "a.png" and min(kind_of(sheet)[2]) >= 5 * 128
    grey = picture(tmp_path / "g.png", 1, 3)
    assert restore(grey, tmp_path / "out", "--surf") == 0


def test_an_ensemble_is_of_estimates_and_recorded(
    restore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = picture(tmp_path / "a.png", 12, 16, 3)
    out = tmp_path / "out.png"
    assert restore(source, out, "--estimate", "--ensemble", "4") == 0
    with Image.open(out) as image:
        assert '"estimate": true, "ensemble": 4' in image.info["superres"]
    assert restore(source, tmp_path / "b.png", "--ensemble", "4", estimate=False) == 1
    assert "ensemble: is of estimates" in capsys.readouterr().err
