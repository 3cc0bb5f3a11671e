"""`superres restore`: what odd files say about themselves, each read once and kept where it can."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, features

import superres
from picture_files import ICC, png_of, smooth
from superres.core.images import read_image
from superres.restoration.picture_files import read_picture

TIFF_NAMESPACE = 'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
SAYINGS = {
    "attribute": f'<rdf:Description {TIFF_NAMESPACE} tiff:Orientation="6"/>',
    "element": f"<rdf:Description {TIFF_NAMESPACE}><tiff:Orientation>6</tiff:Orientation>"
    "</rdf:Description>",
    "quotes": f"<rdf:Description {TIFF_NAMESPACE} tiff:Orientation = '6'/>",
    "prefix": '<rdf:Description xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation="6"/>',
}
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005


def packet(saying: str) -> bytes:
    content = f"<rdf:RDF {RDF}>{saying}</rdf:RDF>"
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{content}</x:xmpmeta>'.encode()


def quarters() -> Image.Image:
    levels = np.repeat(np.repeat([[20, 90], [160, 230]], 8, axis=0), 12, axis=1)
    return Image.fromarray(levels.astype(np.uint8)).convert("RGB")


def corners(image: Image.Image) -> list[list[int]]:
    grey = np.asarray(image.convert("L")).astype(int)
    height, width = grey.shape
    return grey[height // 4 :: height // 2, width // 4 :: width // 2].tolist()


def orientation_exif(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def raw_profile(name: str, content: bytes) -> str:
    digits = content.hex()
    lines = "\n".join(digits[i : i + 72] for i in range(0, len(digits), 72))
    return f"\n{name}\n{len(content):8}\n{lines}\n"


def save(path: Path, how: str, image: Image.Image) -> Path:
    """Write a picture that says in some way that it is to be turned by a quarter."""
    where, _, saying = how.partition(" ")
    options: dict[str, Any] = {}
    texts = PngImagePlugin.PngInfo()
    if where in ("xmp", "both", "beside"):
        content = packet(SAYINGS[saying or "attribute"])
        if path.suffix == ".png":
            texts.add_itxt("XML:com.adobe.xmp", content.decode())
        else:
            options["xmp"] = content
    if where in ("exif", "both", "beside"):
        options["exif"] = orientation_exif(1 if where == "beside" else 6).tobytes()
    if where == "raw":
        exif = orientation_exif(6).tobytes()
        kind = {"bare": "exif", "APP1": "APP1"}.get(saying, "exif")
        exif = exif[6:] if saying == "bare" else exif
        texts.add_text(f"Raw profile type {kind}", raw_profile(kind, exif), zip=True)
    if where == "rawxmp":
        content = packet(SAYINGS["attribute"])
        texts.add_text("Raw profile type xmp", raw_profile("xmp", content))
    if path.suffix == ".png":
        options["pnginfo"] = texts
    if path.suffix == ".tif" and "xmp" in options:
        tags = Image.Exif()
        tags.load(options.get("exif", orientation_exif(1).tobytes()))
        if where == "xmp":
            del tags[0x0112]
        tags[0x02BC] = options.pop("xmp")
        options["exif"] = tags.tobytes()
    image.save(path, **options)
    return path


TURNED = [
    *[(".png", f"xmp {saying}") for saying in SAYINGS],
    *[(".png", how) for how in ("exif", "both", "both element", "raw", "raw bare", "raw APP1")],
    (".png", "rawxmp"),
    *[(".jpg", how) for how in ("xmp attribute", "xmp element", "xmp quotes", "exif", "both")],
    *[(".webp", how) for how in ("xmp attribute", "xmp element", "xmp quotes", "exif", "both")],
    *[(".tif", how) for how in ("xmp attribute", "xmp element", "exif", "both")],
]


@pytest.mark.parametrize("out", [".png", ".jpg", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize(("suffix", "how"), TURNED)
def test_upright_once_wherever_it_is_said(
    restore: Any, enlarger: Path, tmp_path: Path, suffix: str, how: str, out: str
) -> None:
    if out == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    source = save(tmp_path / f"a{suffix}", how, quarters())
    expected = corners(quarters().transpose(Image.Transpose.ROTATE_270))
    assert read_image(source).shape == (24, 16, 3)  # as `tile` and `evaluate` read it
    np.testing.assert_allclose(corners(Image.fromarray(read_image(source))), expected, atol=6)
    in_python = superres.load(enlarger, device="cpu").restore(Image.open(source), estimate=True)
    np.testing.assert_allclose(corners(in_python), expected, atol=6)
    assert in_python.getexif().get(0x0112, 1) == 1
    assert restore(source, tmp_path / f"b{out}", model=enlarger) == 0
    assert restore(tmp_path / f"b{out}", tmp_path / "c.png", model=enlarger) == 0
    for path, size in ((tmp_path / f"b{out}", (32, 48)), (tmp_path / "c.png", (64, 96))):
        with Image.open(path) as image:
            assert image.getexif().get(0x0112, 1) == 1
            shown = ImageOps.exif_transpose(image)
        assert shown.size == size
        np.testing.assert_allclose(corners(shown), expected, atol=6)
        assert read_image(path).shape == (size[1], size[0], 3)
    for content in (b'Orientation="6"', b"Orientation>6", b"Orientation = '6'", b"profile type"):
        assert content not in (tmp_path / f"b{out}").read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_exif_counts_more_than_xmp(
    restore: Any, enlarger: Path, tmp_path: Path, suffix: str
) -> None:
    source = save(tmp_path / f"a{suffix}", "beside", quarters())
    assert read_image(source).shape == (16, 24, 3)
    assert restore(source, tmp_path / "b.png", model=enlarger) == 0
    assert read_image(tmp_path / "b.png").shape == (32, 48, 3)
    with Image.open(tmp_path / "b.png") as image:
        assert image.getexif().get(0x0112, 1) == 1 and b'Orientation="1"' in image.info["xmp"]


@pytest.mark.parametrize(("channels", "shape"), [(3, (14, 9, 3)), (2, (14, 9)), (1, (14, 9))])
def test_16_bits_are_turned_by_xmp(
    restore: Any, tmp_path: Path, channels: int, shape: tuple[int, ...]
) -> None:
    itxt = b"XML:com.adobe.xmp\0\0\0\0\0" + packet(SAYINGS["element"])
    samples = smooth(channels)
    (tmp_path / "a.png").write_bytes(png_of(samples, (b"iTXt", itxt)))
    picture = read_picture(tmp_path / "a.png").picture
    np.testing.assert_array_equal(
        picture.levels, np.rot90(samples[:, :, 0] if len(shape) == 2 else samples, -1)
    )
    assert read_image(tmp_path / "a.png").shape == (14, 9, 3)
    assert restore(tmp_path / "a.png", tmp_path / "b.png") == 0
    assert read_picture(tmp_path / "b.png").picture.size == (28, 18)


def test_damaged_exif_in_text_is_none(restore: Any, tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Raw profile type exif", "\nexif\n  12\nno digits\n")
    texts.add_text("exif", "a text of that name")
    texts.add_text("icc_profile", "and this one")
    texts.add_text("dpi", "and this one")
    quarters().save(tmp_path / "a.png", pnginfo=texts)
    assert read_image(tmp_path / "a.png").shape == (16, 24, 3)
    assert restore(tmp_path / "a.png", tmp_path / "b.png") == 0
    with Image.open(tmp_path / "b.png") as image:
        image.load()
        assert not image.getexif()
        assert image.text["dpi"] == "and this one"


def of_tiff(exif: Image.Exif) -> Image.Exif:
    """Return EXIF so that Pillow writes all of its directories into TIFF."""
    loaded = Image.Exif()
    loaded.load(exif.tobytes())
    loaded.get_ifd(EXIF_IFD)[INTEROP_IFD] = dict(loaded.get_ifd(INTEROP_IFD))
    return loaded


@pytest.mark.parametrize("orientation", [None, 6])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("out", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_directories_below_the_first_are_kept(
    restore: Any, tmp_path: Path, suffix: str, out: str, orientation: int | None
) -> None:
    """Date, place and colour mark of a camera, the first directory being empty but for these."""
    if out == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    exif.get_ifd(EXIF_IFD).update({0x9003: "2020:01:02 03:04:05", 0xA001: 0xFFFF, 0xA002: 24})
    exif.get_ifd(EXIF_IFD)[INTEROP_IFD] = {1: "R03", 2: b"0100"}
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (52.0, 31.0, 12.5)})
    source = tmp_path / f"a{suffix}"
    quarters().save(source, exif=of_tiff(exif) if suffix == ".tif" else exif.tobytes())
    assert restore(source, tmp_path / f"b{out}") == 0
    assert restore(tmp_path / f"b{out}", tmp_path / f"c{out}") == 0
    widths = (48, 96) if orientation is None else (32, 64)
    for name, width in zip("bc", widths, strict=True):
        with Image.open(tmp_path / f"{name}{out}") as image:
            assert image.width == width
            kept = image.getexif()
            details, place = kept.get_ifd(EXIF_IFD), kept.get_ifd(GPS_IFD)
            assert details[0x9003] == "2020:01:02 03:04:05"
            assert (details[0xA001], details[0xA002]) == (0xFFFF, width)
            assert (place[1], [float(part) for part in place[2]]) == ("N", [52.0, 31.0, 12.5])
            mark = kept.get_ifd(INTEROP_IFD)
            assert (mark[1], mark[2]) == ("R03", b"0100")


def test_directories_of_16_bits_in_tiff_are_kept(restore: Any, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD).update({0x9003: "2020:01:02 03:04:05", INTEROP_IFD: {1: "R03"}})
    (tmp_path / "a.png").write_bytes(png_of(smooth(3), (b"eXIf", exif.tobytes()[6:])))
    for before, after in (("a.png", "b.tif"), ("b.tif", "c.tif"), ("c.tif", "d.png")):
        assert restore(tmp_path / before, tmp_path / after) == 0
        assert read_picture(tmp_path / after).picture.bits == 16
        with Image.open(tmp_path / after) as image:
            kept = image.getexif()
            assert kept.get_ifd(EXIF_IFD)[0x9003] == "2020:01:02 03:04:05"
            assert kept.get_ifd(INTEROP_IFD) == {1: "R03"}


def test_a_dangling_pointer_goes(restore: Any, tmp_path: Path) -> None:
    """Pillow's own TIFF has one where its source had the directory."""
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD).update({0x829A: 0.25, INTEROP_IFD: {1: "R98"}})
    quarters().save(tmp_path / "a.tif", exif=exif.tobytes())
    for suffix in (".tif", ".png", ".jpg"):
        assert restore(tmp_path / "a.tif", tmp_path / f"b{suffix}") == 0
        with Image.open(tmp_path / f"b{suffix}") as image:
            details = image.getexif().get_ifd(EXIF_IFD)
            assert float(details[0x829A]) == 0.25 and INTEROP_IFD not in details


def test_adobe_rgb_becomes_srgb_where_there_is_no_exif(
    restore: Any, enlarger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Values by the definitions of both spaces; greys stay."""
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[INTEROP_IFD] = {1: "R03"}
    for colour, expected in (
        ((120, 120, 120), (120, 120, 120)),
        ((150, 100, 80), (167, 99, 76)),
        ((0, 255, 0), (0, 255, 0)),
    ):
        Image.new("RGB", (16, 16), colour).save(tmp_path / "a.png", exif=exif.tobytes())
        assert restore(tmp_path / "a.png", tmp_path / "b.bmp", "--overwrite", model=enlarger) == 0
        assert "note: Adobe RGB became sRGB: BMP has no place" in capsys.readouterr().out
        with Image.open(tmp_path / "b.bmp") as image:
            assert np.abs(np.subtract(image.getpixel((16, 16)), expected)).max() <= 5


def test_the_mark_of_adobe_rgb_outlives_exif_that_is_too_long(restore: Any, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "long " * 20000
    exif.get_ifd(EXIF_IFD)[INTEROP_IFD] = {1: "R03"}
    quarters().save(tmp_path / "a.png", exif=exif.tobytes())
    assert restore(tmp_path / "a.png", tmp_path / "b.jpg") == 0
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.getexif().get_ifd(INTEROP_IFD)[1] == "R03"


GAMA = struct.pack(">I", 100000)
CHRM = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
CHUNKS = {b"gAMA": GAMA, b"cHRM": CHRM, b"cICP": bytes([12, 13, 0, 1]), b"sRGB": b"\0"}


def chunks_of(path: Path) -> dict[bytes, bytes]:
    content, place, found = path.read_bytes(), 8, {}
    while place < len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        if name in CHUNKS:
            found[name] = content[place + 8 : place + 8 + length]
        place += length + 12
    return found


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("names", [*([name] for name in CHUNKS), [b"gAMA", b"cHRM"], list(CHUNKS)])
def test_what_png_says_of_colours_is_kept_or_noted(
    restore: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    names: list[bytes],
    bits: int,
) -> None:
    chunks = {name: CHUNKS[name] for name in names}
    source = tmp_path / "a.png"
    if bits == 16:
        source.write_bytes(png_of(smooth(3), *chunks.items()))
    else:
        texts = PngImagePlugin.PngInfo()
        for name, content in chunks.items():
            texts.add(name, content)
        quarters().save(source, pnginfo=texts)
    assert restore(source, tmp_path / "b.png") == 0
    assert chunks_of(tmp_path / "b.png") == chunks
    assert "no place" not in capsys.readouterr().out
    assert restore(source, tmp_path / "c.jpg") == 0
    said = capsys.readouterr().out
    with Image.open(tmp_path / "c.jpg") as image:
        if names == [b"sRGB"]:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            assert "sRGB" in ImageCms.getProfileDescription(profile) and "no place" not in said
        else:
            order = [n for n in (b"cICP", b"sRGB", b"gAMA", b"cHRM") if n in names]
            text = " and ".join(name.decode() for name in order)
            assert f"note: JPEG has no place for PNG's {text}\n" in said
    assert restore(source, tmp_path / "d.bmp") == 0
    assert "note: BMP has no place for PNG's " in capsys.readouterr().out


def long_profile(kind: str) -> bytes:
    more = np.random.default_rng(0).bytes(3 << 20) if kind == "noise" else bytes(3 << 20)
    return ICC + more


@pytest.mark.parametrize("kind", ["noise", "zeros"])
@pytest.mark.parametrize("place", ["profile", "text", "compressed text", "unicode"])
def test_long_texts_and_profiles_are_read_and_kept(
    restore: Any, tmp_path: Path, place: str, kind: str
) -> None:
    content = long_profile(kind)
    text = content.hex()
    texts, options = PngImagePlugin.PngInfo(), {}
    if place == "profile":
        options["icc_profile"] = content
    elif place == "unicode":
        texts.add_itxt("note", text, zip=True)
    else:
        texts.add_text("note", text, zip=place != "text")
    quarters().save(tmp_path / "a.png", pnginfo=texts, **options)
    before = (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)
    assert restore(tmp_path / "a.png", tmp_path / "b.png") == 0
    assert restore(tmp_path / "b.png", tmp_path / "c.png") == 0  # what we wrote, we read
    assert read_image(tmp_path / "c.png").shape == (64, 96, 3)
    info = read_picture(tmp_path / "c.png").info
    if place == "profile":
        assert info["icc_profile"] == content
    else:
        assert info["text"]["note"] == text
    assert before == (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)


def test_a_small_file_does_not_unpack_into_much(
    restore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packer = zlib.compressobj(9)
    packed = b"".join([packer.compress(bytes(1 << 20)) for _ in range(80)]) + packer.flush()
    chunk = (b"zTXt", b"bomb\0\0" + packed)
    (tmp_path / "a.png").write_bytes(png_of(smooth(3), chunk))
    assert (tmp_path / "a.png").stat().st_size < 1 << 20
    assert restore(tmp_path / "a.png", tmp_path / "b.png") == 1
    assert "too large" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "I;16"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_python_keeps_what_resizing_keeps(model: Path, mode: str, suffix: str) -> None:
    image = quarters().convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    exif.get_ifd(EXIF_IFD)[0xA002] = 24
    file = io.BytesIO()
    image.save(
        file,
        suffix[1:].replace("tif", "tiff"),
        icc_profile=ICC,
        dpi=(300, 200),
        exif=exif.tobytes(),
    )
    file.seek(0)
    restored = superres.load(model, device="cpu").restore(Image.open(file), estimate=True)
    assert restored.size == (32, 48)
    assert restored.info["icc_profile"] == ICC
    assert restored.info["dpi"] == pytest.approx((300, 200), rel=1e-3)
    kept = restored.getexif()
    assert (kept[0x010F], kept.get(0x0112, 1), kept.get_ifd(EXIF_IFD)[0xA002]) == ("Maker", 1, 32)
    again = io.BytesIO()
    restored.save(again, "PNG")
    with Image.open(again) as written:
        assert written.info["icc_profile"] == ICC


@pytest.mark.parametrize("mode", ["CMYK", "LAB"])
def test_python_drops_a_profile_of_colours_that_are_gone(model: Path, mode: str) -> None:
    image = Image.new(mode, (8, 8))
    image.info.update(icc_profile=b"of other colours", dpi=(72, 72))
    restored = superres.load(model, device="cpu").restore(image, estimate=True)
    assert "icc_profile" not in restored.info and restored.info["dpi"] == (72, 72)
