"""A folder of everything: each file is used or left out with the reason expected of it."""

import io
import os
import socket

import numpy as np
import pandas as pd
import pytest
from PIL import Image, features

from superres.core.params import load_section
from superres.core.storage import read_manifest
from superres.data.tiling import tile_photographs
from superres.degradation.config import DegradeParams
from superres.degradation.pairs import degrade_tiles
from support import ROOT

USED = ""


class _Folder:
    """Writes files, each of another picture, and notes what is expected of them."""

    def __init__(self, path):
        self.path = path
        self.expected = {}
        self._count = 0

    def picture(self, mode="RGB", size=(112, 80)):
        self._count += 1
        shape = (size[1] // 8 + 1, size[0] // 8 + 1, 3)
        noise = np.random.default_rng(self._count).integers(0, 256, shape, dtype=np.uint8)
        picture = noise.repeat(8, axis=0).repeat(8, axis=1)[: size[1], : size[0]]
        return Image.fromarray(picture).convert(mode)

    def save(self, name, picture=None, reason=USED, **options):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (picture or self.picture()).save(path, **options)
        self.expected[name] = reason

    def write(self, name, content, reason):
        (self.path / name).write_bytes(content)
        self.expected[name] = reason


def _pixels_of_every_kind(folder):
    folder.save("plain.jpg")
    folder.save("progressive.jpg", progressive=True)
    folder.save("cmyk.jpg", folder.picture("CMYK"))
    folder.save("ycc.jpg", folder.picture("YCbCr"))
    folder.save("grey.jpg", folder.picture("L"))
    exif = Image.Exif()
    exif[0x0112] = 6
    folder.save("turned.jpg", exif=exif)
    folder.save("UPPER.JPEG")
    folder.save("plain.png")
    folder.save("palette.png", folder.picture("P"))
    folder.save("one bit.png", folder.picture("1"))
    folder.save("alpha.png", folder.picture("RGBA"))
    folder.save("grey alpha.png", folder.picture("LA"))
    grey = np.asarray(folder.picture("L")).astype(np.uint16) * 257
    folder.save("16 bit.png", Image.fromarray(grey))
    folder.save("animated.png", save_all=True, append_images=[folder.picture()])
    folder.save("plain.tif")
    folder.save("lzw.tiff", compression="tiff_lzw")
    folder.save("pages.tif", save_all=True, append_images=[folder.picture()])
    folder.save("16 bit.tif", Image.fromarray(grey[::-1].copy()))
    folder.save("cmyk.tif", folder.picture("CMYK"))
    lossy = Image.fromarray(np.asarray(folder.picture("L")).astype(np.float32))
    folder.save("float.tif", lossy, "unreadable: floating-point pixels have no defined range")
    folder.save("lossless.webp", lossless=True)
    folder.save("animated.webp", save_all=True, append_images=[folder.picture()])
    folder.save("plain.gif")
    folder.save("plain.bmp")
    folder.save("plain.ppm")
    for suffix, feature in (("avif", "avif"), ("jp2", "jpg_2000")):
        if features.check(feature):
            folder.save(f"plain.{suffix}")
    folder.save("nested/写真/фото/été.png")
    folder.save('quote " comma, <b>html</b>.png')
    folder.save("line\nbreak.png")
    folder.save("without a suffix", format="PNG")
    folder.save("wrong.txt", format="JPEG")
    folder.save("panorama.png", folder.picture(size=(3000, 40)))


def _what_cannot_be_used(folder):
    content = io.BytesIO()
    folder.picture().save(content, "JPEG")
    cut = content.getvalue()[: len(content.getvalue()) // 2]
    folder.write("truncated.jpg", cut, "unreadable: *")
    folder.write("empty.jpg", b"", "unreadable: the file is empty")
    folder.write("empty", b"", "no image")
    folder.write("text.png", b"no picture", "unreadable: not an image in a known format")
    folder.write("notes.txt", b"some words", "no image")
    folder.write("Thumbs.db", b"\xd0\xcf\x11\xe0", "no image")
    folder.write(".DS_Store", b"x", "hidden file")
    folder.write("plain.xmp", b"<x:xmpmeta/>", "no image")
    folder.write("drawing.svg", b"<svg/>", "no image")
    folder.write("pictures.zip", b"PK\x05\x06" + bytes(18), "no image")
    folder.write("run.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n", "no image")
    folder.save(".hidden.png", reason="hidden file")
    folder.save("1x1.png", folder.picture(size=(1, 1)), "smaller than a tile: *")
    folder.save("strip.png", folder.picture(size=(900, 20)), "smaller than a tile: *")
    bomb = "unreadable: 25.0 megapixels, more than the limit of 20"
    folder.save("bomb.png", Image.new("1", (5000, 5000)), bomb)
    same = folder.picture()
    folder.save("same 1.png", same)
    folder.save("same 2.bmp", same, "same pixels as same 1.png")
    os.mkfifo(folder.path / "pipe.jpg")
    folder.expected["pipe.jpg"] = "no regular file (a pipe, socket or device)"
    listening = socket.socket(socket.AF_UNIX)
    here = os.getcwd()  # noqa: PTH109 - a socket's whole path may have 108 bytes
    os.chdir(folder.path)
    try:
        listening.bind("socket.png")
    finally:
        os.chdir(here)
        listening.close()
    folder.expected["socket.png"] = "no regular file (a pipe, socket or device)"


def _links_and_names(folder):
    linked = folder.path.parent / "linked.png"
    folder.picture().save(linked)
    for name, target, reason in (
        ("link.png", linked, USED),
        ("broken.png", folder.path / "nowhere", "broken link: No such file or directory"),
        ("loop.png", folder.path / "loop.png", "broken link: Too many levels of symbolic links"),
        ("circle", folder.path, "link to a folder"),
    ):
        (folder.path / name).symlink_to(target)
        folder.expected[name] = reason
    folder.save("directory.png/inside.png")
    (folder.path / ".cache").mkdir()
    (folder.path / ".cache" / "x.png").touch()
    folder.expected[".cache"] = "hidden folder"
    content = io.BytesIO()
    folder.picture().save(content, "PNG")
    path = os.path.join(os.fsencode(folder.path), b"caf\xe9.png")  # noqa: PTH118 - bytes
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(content.getvalue())
    folder.expected["caf\\xe9.png"] = USED
    if os.geteuid():
        folder.save("secret.png", reason="unreadable: Permission denied")
        (folder.path / "secret.png").chmod(0)


@pytest.fixture
def hostile(tmp_path):
    (tmp_path / "photos").mkdir()
    folder = _Folder(tmp_path / "photos")
    _pixels_of_every_kind(folder)
    _what_cannot_be_used(folder)
    _links_and_names(folder)
    return folder


def test_every_file_is_used_or_left_out_with_its_reason(tmp_path, hostile, data_params):
    assert len(hostile.expected) > 55
    params = data_params(min_sharpness=0.0, max_bad_fraction=0.3)
    tile_photographs(params, tmp_path / "tiles", tmp_path / "photographs.csv")
    table = pd.read_csv(tmp_path / "photographs.csv", keep_default_na=False)
    reasons = dict(zip(table["source"], table["reason"], strict=True))
    assert set(reasons) == set(hostile.expected)
    for name, expected in hostile.expected.items():
        if expected.endswith("*"):
            assert reasons[name].startswith(expected[:-1]), name
        else:
            assert reasons[name] == expected, name
    used = table[table["status"] == "used"]
    assert set(used["source"]) == {n for n, reason in hostile.expected.items() if reason == USED}
    assert (used["tiles"] > 0).all()
    degrade = load_section("degrade", DegradeParams, ROOT / "params.yaml")
    degrade_tiles(degrade, tmp_path / "tiles", tmp_path / "pairs")
    pairs = read_manifest(tmp_path / "pairs")
    assert set(pairs["source"]) == set(used["source"])


def test_near_duplicates_share_a_split(tmp_path, photos, data_params):
    folder = _Folder(photos)
    for number in range(4):
        picture = folder.picture(size=(160, 128))
        folder.save(f"n{number}.png", picture)
        folder.save(f"n{number} small.jpg", picture.resize((80, 64), Image.Resampling.BOX))
    tile_photographs(data_params(), tmp_path / "tiles", tmp_path / "photographs.csv")
    table = pd.read_csv(tmp_path / "photographs.csv", keep_default_na=False).set_index("source")
    for number in range(4):
        large, small = table.loc[f"n{number}.png"], table.loc[f"n{number} small.jpg"]
        assert small["near"] == f"n{number}.png" and large["near"] == ""
        assert small["split"] == large["split"]
