"""`superres restore`: pictures of every kind, and what their files say about themselves."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, features

from picture_files import ICC, enlarged, kind_of, picture, pixels
from superres.restoration.restorer import Restorer

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
    ("a.pgm", "I;16", "a.pgm", "PPM", "I"),
    ("a.ppm", "RGB", "a.ppm", "PPM", "RGB"),
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
    assert facts["entropies"] == {"blur": 0.0, "jpeg": 0.25}
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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".heic", ".avif"])
def test_every_orientation(
    restore: Any, enlarger: Path, tmp_path: Path, suffix: str, orientation: int
) -> None:
    """The restored picture is what a viewer shows of the input, and turned no second time."""
    if suffix == ".heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif suffix == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters = np.repeat(np.repeat([[20, 90], [160, 230]], 8, axis=0), 12, axis=1)
    source = tmp_path / f"a{suffix}"
    Image.fromarray(quarters.astype(np.uint8)).convert("RGB").save(source, exif=exif.tobytes())
    assert restore(source, tmp_path / f"b{suffix}", model=enlarger) == 0
    with Image.open(source) as before, Image.open(tmp_path / f"b{suffix}") as after:
        shown = ImageOps.exif_transpose(before).convert("L")
        assert after.getexif().get(0x0112, 1) == 1
        assert after.size == (2 * shown.width, 2 * shown.height)
        levels = [
            np.asarray(image)[
                image.height // 4 :: image.height // 2, image.width // 4 :: image.width // 2
            ]
            for image in (shown, after.convert("L"))
        ]
    assert levels[1].shape == (2, 2)
    np.testing.assert_allclose(levels[1].astype(int), levels[0].astype(int), atol=6)


@pytest.mark.parametrize("suffix", [".webp", ".avif", ".png", ".tif"])
def test_the_first_of_many(
    restore: Any,
    enlarger: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    suffix: str,
) -> None:
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    frames = [Image.new("RGB", (16, 16), (level, 20, 20)) for level in (200, 40, 90)]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    assert restore(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}", model=enlarger) == 0
    assert "note: the first of 3 pictures in the file" in capsys.readouterr().out
    with Image.open(tmp_path / f"b{suffix}") as image:
        assert getattr(image, "n_frames", 1) == 1
        assert np.asarray(image)[16, 16].tolist() == pytest.approx([200, 20, 20], abs=6)


@pytest.mark.parametrize("size", [(40, 2000), (2000, 40), (1, 7), (1, 1)])
def test_panoramas_and_pixels(
    restore: Any, enlarger: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    """Windows of the picture's own height are no seams: all of it is what enlarging makes."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    grey = np.rint(127 + 60 * np.sin(rows / 9) + 60 * np.cos(columns / 11)).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert restore(tmp_path / "a.png", tmp_path / "b.png", "--window", 64, model=enlarger) == 0
    expected = enlarged(grey[:, :, np.newaxis], 255)[:, :, 0]
    with Image.open(tmp_path / "b.png") as image:
        np.testing.assert_allclose(np.asarray(image), expected, atol=5)


def test_cmyk_with_a_profile_of_other_colours(restore: Any, enlarger: Path, tmp_path: Path) -> None:
    """A profile that is none for CMYK says nothing of it, and does not outlive it."""
    source = tmp_path / "a.tif"
    Image.new("CMYK", (8, 8), (200, 40, 60, 10)).save(source, icc_profile=ICC)
    assert restore(source, tmp_path / "b.png", model=enlarger) == 0
    with Image.open(tmp_path / "b.png") as image:
        assert image.mode == "RGB" and "icc_profile" not in image.info
        assert np.asarray(image)[4, 4].tolist() == pytest.approx([53, 206, 187], abs=3)


def test_a_palette_with_transparency(restore: Any, enlarger: Path, tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat([[0] * 8 + [1] * 8], 16, axis=0).astype(np.uint8), "P")
    image.putpalette([250, 10, 10, 10, 10, 250])
    for name in ("a.png", "a.gif"):
        image.save(tmp_path / name, transparency=1)
        assert restore(tmp_path / name, tmp_path / f"{name}.png", model=enlarger) == 0
        with Image.open(tmp_path / f"{name}.png") as restored:
            assert restored.mode == "RGBA"
            left, right = np.asarray(restored)[16, [4, 28]].tolist()
        assert left == pytest.approx([250, 10, 10, 255], abs=5) and right[3] == 0


def test_a_file_is_what_it_holds_whatever_its_name(restore: Any, tmp_path: Path) -> None:
    """HEIC named as JPEG, as telephones do; and no PostScript, which would run a program."""
    pytest.importorskip("pillow_heif").register_heif_opener()
    Image.new("RGB", (16, 16), (9, 99, 200)).save(tmp_path / "a.heic")
    (tmp_path / "a.heic").rename(tmp_path / "a.jpg")
    assert restore(tmp_path / "a.jpg", tmp_path / "b.jpg") == 0
    assert kind_of(tmp_path / "b.jpg") == ("JPEG", "RGB", (32, 32))
    Image.new("RGB", (16, 16)).save(tmp_path / "ps.png", "EPS")
    assert restore(tmp_path / "ps.png", tmp_path / "c.png") == 1


def test_what_a_format_has_no_place_for_is_said(
    restore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x927C] = b"m" * 70000
    source = picture(tmp_path / "a.png", exif=exif.tobytes(), icc_profile=ICC)
    assert restore(source, tmp_path / "b.jpg") == 0
    assert "note: JPEG has no room for the maker's notes in EXIF\n" in capsys.readouterr().out
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.getexif()[0x010F] == "Maker"
        assert b'"seed": 0' in image.getexif().get_ifd(0x8769)[0x9286]
    assert restore(source, tmp_path / "b.bmp") == 0
    assert "note: BMP has no place for the colour profile\n" in capsys.readouterr().out
    assert restore(picture(tmp_path / "t.webp", 6, 6, 4), tmp_path / "t.bmp") == 0
    assert kind_of(tmp_path / "t.png") == ("PNG", "RGBA", (12, 12))


def test_a_resolution_that_cannot_be_true(restore: Any, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.tif", dpi=(72, 72))
    content = source.read_bytes()
    source.write_bytes(content.replace(b"H\0\0\0\1\0\0\0", b"H\0\0\0\0\0\0\0"))
    assert source.read_bytes() != content
    for suffix in (".png", ".jpg", ".tif"):
        assert restore(source, tmp_path / f"b{suffix}") == 0


def test_heic_without_its_library(
    restore: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Said before any time is spent."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(Restorer, "run", lambda *_: pytest.fail("time was spent"))
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert restore(tmp_path / "a.heic", tmp_path / "b.png") == 1
    assert "a.heic: HEIC needs pillow-heif: pip install" in capsys.readouterr().err
    assert restore(picture(tmp_path / "c.png"), tmp_path / "d.heic") == 1
    assert "d.heic: HEIC needs pillow-heif: pip install" in capsys.readouterr().err
