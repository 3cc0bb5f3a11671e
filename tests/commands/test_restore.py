"""`superres restore`: files of every kind, and everything that may be wrong."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, features

from superres.cli import main
from superres.estimation.estimator import EstimatorSpec, StrengthEstimator, save_estimator
from superres.restoration import planning

RNG = np.random.default_rng(0)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pixels(*shape: int, kind: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(kind).max + 1, shape, dtype=kind)


def picture(path: Path, *shape: int, **options: Any) -> Path:
    """Write a random picture, by default 10 x 12 in colour, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(*(shape or (10, 12, 3)))).save(path, **options)
    return path


@pytest.fixture
def restore(model: Path) -> Any:
    """Return the command with the tiny model, in one evaluation."""

    def call(*words: Any, estimate: bool = True) -> int:
        more = ["--estimate"] if estimate else ["--steps", "2"]
        return main(["restore", *map(str, words), "--model", str(model), "--device", "cpu", *more])

    return call


def kind_of(path: Path) -> tuple[str | None, str, tuple[int, int]]:
    with Image.open(path) as image:
        image.load()
        return image.format, image.mode, image.size


FORMATS = [
    ("a.jpg", "RGB", "a.jpg", "JPEG", "RGB"),
    ("a.jpg", "L", "a.jpg", "JPEG", "L"),
    ("a.jpg", "CMYK", "a.jpg", "JPEG", "RGB"),
    ("a.JPEG", "RGB", "a.JPEG", "JPEG", "RGB"),
    ("a.png", "RGB", "a.png", "PNG", "RGB"),
    ("a.png", "RGBA", "a.png", "PNG", "RGBA"),
    ("a.png", "L", "a.png", "PNG", "L"),
    ("a.png", "LA", "a.png", "PNG", "LA"),
    ("a.png", "1", "a.png", "PNG", "L"),
    ("a.png", "P", "a.png", "PNG", "RGB"),
    ("a.png", "I;16", "a.png", "PNG", "I;16"),
    ("a.tif", "RGB", "a.tif", "TIFF", "RGB"),
    ("a.tif", "RGBA", "a.tif", "TIFF", "RGBA"),
    ("a.tif", "CMYK", "a.tif", "TIFF", "RGB"),
    ("a.tiff", "I;16", "a.tiff", "TIFF", "I;16"),
    ("a.webp", "RGB", "a.webp", "WEBP", "RGB"),
    ("a.webp", "RGBA", "a.webp", "WEBP", "RGBA"),
    ("a.bmp", "RGB", "a.bmp", "BMP", "RGB"),
    ("a.bmp", "P", "a.bmp", "BMP", "RGB"),
    ("a.bmp", "L", "a.bmp", "BMP", "L"),
    ("a.gif", "P", "a.png", "PNG", "RGB"),
    ("a.gif", "L", "a.png", "PNG", "RGB"),
]


@pytest.mark.parametrize(("name", "mode", "out", "kind", "becomes"), FORMATS)
def test_every_format(
    restore: Any, tmp_path: Path, name: str, mode: str, out: str, kind: str, becomes: str
) -> None:
    source = tmp_path / "in" / name
    source.parent.mkdir()
    image = Image.fromarray(pixels(11, 7, 3)).convert("L" if mode == "I;16" else mode)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(pixels(11, 7)))
    if mode == "I;16":
        image = Image.fromarray(pixels(11, 7, kind=np.uint16))
    image.save(source)
    before = source.read_bytes()
    assert restore(source, tmp_path / "out") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [out]
    assert kind_of(tmp_path / "out" / out) == (kind, becomes, (14, 22))
    assert source.read_bytes() == before


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize(
    ("suffix", "kind", "needs"),
    [
        (".avif", "AVIF", "avif"),
        (".jp2", "JPEG2000", "jpg_2000"),
        (".heic", "HEIF", None),
    ],
)
def test_formats_that_not_every_pillow_has(
    restore: Any, tmp_path: Path, suffix: str, kind: str, needs: str | None, mode: str
) -> None:
    if needs is None:
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif not features.check(needs):
        pytest.skip(f"this Pillow has no {kind}")
    image = Image.fromarray(np.full((24, 16, 3), 180, np.uint8)).convert(mode)
    if mode == "RGBA":
        image.putalpha(120)
    image.save(tmp_path / f"in{suffix}")
    assert restore(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}") == 0
    as_read = kind_of(tmp_path / f"in{suffix}")[1]  # some Pillow read grey AVIF as colours
    assert kind_of(tmp_path / f"out{suffix}") == (kind, as_read, (32, 48))
    with Image.open(tmp_path / f"out{suffix}") as restored:
        if mode == "RGBA":
            assert abs(np.asarray(restored)[:, :, 3].astype(int) - 120).max() <= 3


@pytest.mark.parametrize("size", [(1, 1), (1, 97), (33, 2)])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_odd_sizes(restore: Any, tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    source = picture(tmp_path / f"a{suffix}", *size, 3)
    out = tmp_path / f"b{suffix}"
    assert restore(source, out, "--window", 48) == 0
    assert kind_of(out)[2] == (2 * size[1], 2 * size[0])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_orientation_profile_and_exif(restore: Any, tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by a quarter
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x829A] = 0.25  # exposure time
    exif.get_ifd(0x8769)[0xA002] = 12  # width in pixels
    source = picture(tmp_path / f"a{suffix}", exif=exif.tobytes(), icc_profile=ICC, dpi=(300, 300))
    out = tmp_path / f"b{suffix}"
    assert restore(source, out, "--jpeg", 0.25) == 0
    with Image.open(out) as image:
        assert image.size == (20, 24)
        assert image.info["icc_profile"] == ICC
        kept = image.getexif()
        details = kept.get_ifd(0x8769)
        assert (kept.get(0x0112, 1), kept[0x010F], float(details[0x829A])) == (1, "Maker", 0.25)
        if suffix == ".png":
            said = image.text["superres"]
        else:
            assert details[0xA002] == 20
            said = details[0x9286].removeprefix(b"ASCII\0\0\0").decode()
    facts = json.loads(said)
    assert facts["strengths"] == {"blur": 0.0, "jpeg": 0.25}
    assert facts["estimate"] is True and facts["seed"] == 0


def test_a_cmyk_profile_does_not_outlive_cmyk(restore: Any, tmp_path: Path) -> None:
    source = tmp_path / "a.tif"
    Image.new("CMYK", (8, 8), (20, 40, 60, 0)).save(source, icc_profile=b"not a profile")
    assert restore(source, tmp_path / "b.tif") == 0
    with Image.open(tmp_path / "b.tif") as image:
        assert image.mode == "RGB" and not image.info.get("icc_profile")


def test_the_first_picture_of_an_animation_with_a_note(
    restore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [Image.fromarray(np.full((6, 6), level, np.uint8)) for level in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert restore(tmp_path / "a.gif", tmp_path / "out") == 0
    assert "note: the first of 2 pictures in the file" in capsys.readouterr().out


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
    assert made == {"a.png", "deep/er/b.jpg", "z.webp"}
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
    picture(tmp_path / "x" / "a.gif")
    assert restore(tmp_path / "x", tmp_path / "out") == 1
    assert "has just been made of" in capsys.readouterr().err
    assert len(list((tmp_path / "out").iterdir())) == 1


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
        (["a.png", "out.png", "--steps", "101"], "steps: must be between 1 and 100, got 101"),
        (["a.png", "out.png", "--samples", "0"], "--samples: must be at least 1, got 0"),
        (["a.png", "out.png", "--window", "33"], "window: must be a positive multiple"),
        (["a.png", "out.png", "--entropy", "auto"], "no estimator of strengths there"),
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
        format="superres-strengths-2",
        entropies=["blur", "jpeg"],
        degradation={"scale": 2},
        channels=8,
        caution=2,
    )
    save_estimator(tmp_path / "models" / "strengths", StrengthEstimator(spec))
    words = [picture(tmp_path / "a.png"), tmp_path / "b.png", "--model", tmp_path / "models/best"]
    more = ["--entropy", "auto", "--jpeg", "0.5", "--estimate"]
    assert main(["restore", *map(str, words), *more]) == 0
    said = capsys.readouterr().out
    with Image.open(tmp_path / "b.png") as image:
        told = json.loads(image.text["superres"])["strengths"]
    assert told["jpeg"] == 0.5 and 0 < told["blur"] < 1
    assert f"blur {told['blur']:g} (estimated), jpeg 0.5\n" in said


def test_surf_writes_a_sheet_to_choose_from(restore: Any, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.jpg", 90, 100, 3)
    assert restore(source, tmp_path / "out", "--surf") == 0
    (sheet,) = (tmp_path / "out").iterdir()
    assert sheet.name == "a.png" and min(kind_of(sheet)[2]) >= 5 * 128
    grey = picture(tmp_path / "g.png", 1, 3)
    assert restore(grey, tmp_path / "out", "--surf") == 0
