"""What formats hold, and where a picture goes that one does not hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from superres.core.errors import SuperresError
from superres.restoration.formats import FORMATS, target
from superres.restoration.metadata import fit_jpeg, with_comment
from superres.restoration.picture import Picture
from superres.restoration.picture_files import PictureFile, read_picture, write_picture


def blank(height: int, width: int, channels: int = 3, kind: type = np.uint8) -> Picture:
    """Return a picture that takes no memory, however large."""
    levels = np.broadcast_to(kind(0), (height, width, 3) if channels > 2 else (height, width))
    alpha = np.broadcast_to(kind(0), (height, width)) if channels in (2, 4) else None
    return Picture(levels, alpha)


@pytest.mark.parametrize(
    ("name", "picture", "out"),
    [
        ("a.jpg", blank(1, 32750), "a.jpg"),
        ("a.jpg", blank(1, 32751), "a.png"),
        ("a.jpg", blank(4, 4, 4), "a.png"),
        ("a.webp", blank(8192, 1), "a.png"),
        ("a.avif", blank(1, 16385), "a.png"),
        ("a.heic", blank(1, 16385), "a.png"),
        ("a.bmp", blank(4, 4, 4), "a.png"),
        ("a.tif", blank(13000, 13000), "a.tif"),
        ("a.tif", blank(13000, 13000, 3, np.uint16), "a.tif"),
        ("a.tif", blank(13000, 14000, 3, np.uint16), "a.png"),
        ("a.jpg", blank(4, 4, 3, np.uint16), "a.jpg"),
        ("A.GIF", blank(4, 4), "A.png"),
        ("scan", blank(4, 4), "scan.png"),
        ("scan.001", blank(4, 4), "scan.001.png"),
    ],
)
def test_where_pictures_of_twice_the_size_go(name: str, picture: Picture, out: str) -> None:
    assert target(Path("folder") / name, picture, 2) == Path("folder") / out


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp", ".jp2", ".ppm"])
def test_long_pictures_within_the_limit_can_be_written(tmp_path: Path, suffix: str) -> None:
    picture = Picture(np.zeros((1, min(70000, FORMATS[suffix].limit), 3), np.uint8))
    source = PictureFile(picture, {"text": {}}, Image.Exif())
    assert write_picture(tmp_path / f"a{suffix}", picture, source, "") == ()
    assert read_picture(tmp_path / f"a{suffix}").picture.size == picture.size


def test_jpeg_gets_what_fits() -> None:
    exif = Image.Exif()
    exif[0x010E] = "long " * 20000
    options = {"exif": with_comment(exif, "ours", (4, 4)), "xmp": b"x" * 65510, "comment": b"c"}
    lost = fit_jpeg(options, "ours")
    assert lost == ["JPEG has no room for EXIF", "JPEG has no room for the XMP"]
    assert b"ours" in options["exif"] and options["comment"] == b"c" and "xmp" not in options
    assert fit_jpeg(options, "ours") == []


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_xmp_is_kept(tmp_path: Path, suffix: str, kind: type) -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    picture = Picture(np.zeros((4, 4, 3), kind))
    source = PictureFile(picture, {"text": {}, "xmp": packet}, Image.Exif())
    write_picture(tmp_path / f"a{suffix}", picture, source, "said")
    info = read_picture(tmp_path / f"a{suffix}").info
    assert info.get("xmp") == packet
    write_picture(tmp_path / f"b{suffix}", picture, read_picture(tmp_path / f"a{suffix}"), "said")
    assert read_picture(tmp_path / f"b{suffix}").info.get("xmp") == packet


def test_what_an_encoder_refuses_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    picture = Picture(np.zeros((4, 4, 3), np.uint8))
    source = PictureFile(picture, {"text": {}, "icc_profile": 7}, Image.Exif())
    with pytest.raises(SuperresError, match=r"a\.jpg: cannot be written as JPEG: "):
        write_picture(tmp_path / "a.jpg", picture, source, "")
    assert not list(tmp_path.iterdir())
