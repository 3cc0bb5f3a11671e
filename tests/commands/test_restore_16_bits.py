"""`superres restore`: 16 bits per channel are read, restored and written."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import superres
from picture_files import ICC, kind_of, png_of, samples_of_file, smooth
from superres.restoration.picture import samples_of
from superres.restoration.picture_files import read_picture

TIFFS: dict[str, dict[str, Any]] = {
    "plain": {},
    "big-endian": {"byteorder": ">"},
    "deflated": {"compression": "zlib"},
    "big-endian, deflated": {"byteorder": ">", "compression": "zlib"},
    "predicted": {"compression": "zlib", "predictor": True},
    "in strips": {"rowsperstrip": 4},
    "in tiles": {"tile": (16, 16)},
    "in deflated tiles": {"tile": (16, 16), "compression": "zlib"},
    "BigTIFF": {"bigtiff": True},
}


def write(path: Path, samples: np.ndarray, **options: Any) -> Path:
    """Write samples, (H, W, channels), with code that is not under test."""
    if path.suffix == ".png":
        path.write_bytes(png_of(samples))
    else:
        alpha = ["unassalpha"] if samples.shape[2] == 4 else None
        tifffile.imwrite(path, samples, photometric="rgb", extrasamples=alpha, **options)
    return path


@pytest.mark.parametrize(
    ("name", "channels", "out"),
    [
        ("a.png", 3, "b.png"),
        ("a.png", 4, "b.png"),
        ("a.png", 2, "b.png"),
        ("a.tif", 3, "b.tif"),
        ("a.tif", 4, "b.tiff"),
        ("a.tif", 3, "b.png"),
        ("a.png", 4, "b.tif"),
    ],
)
@pytest.mark.parametrize("size", [(9, 14), (1, 1), (70, 5)])
def test_all_bits_are_restored_and_written(
    restore: Any,
    model: Path,
    tmp_path: Path,
    name: str,
    channels: int,
    out: str,
    size: tuple[int, int],
) -> None:
    samples = smooth(channels, *size)
    source = write(tmp_path / name, samples)
    assert restore(source, tmp_path / out) == 0
    expected = superres.load(model, device="cpu").restore(samples, estimate=True)
    written = samples_of_file(tmp_path / out)
    np.testing.assert_array_equal(written, expected)
    assert np.abs(written - written // 257 * 257.0).max() > 0  # more than 8 bits say
    with Image.open(tmp_path / out) as image:  # Pillow agrees on the upper byte
        assert image.size == (2 * size[1], 2 * size[0])
        if channels > 2:
            np.testing.assert_array_equal(np.asarray(image), expected >> 8)


def test_grey_with_alpha_becomes_colours_in_tiff(restore: Any, model: Path, tmp_path: Path) -> None:
    samples = smooth(2)
    assert restore(write(tmp_path / "a.png", samples), tmp_path / "b.tif") == 0
    expected = superres.load(model, device="cpu").restore(samples, estimate=True)
    written = samples_of_file(tmp_path / "b.tif")
    np.testing.assert_array_equal(written, expected[:, :, [0, 0, 0, 1]])


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("how", TIFFS)
def test_tiff_of_every_kind_is_read_exactly(tmp_path: Path, how: str, channels: int) -> None:
    samples = smooth(channels, 37, 21)
    file = read_picture(write(tmp_path / "a.tif", samples, **TIFFS[how]))
    np.testing.assert_array_equal(samples_of(file.picture), samples)
    assert file.notes == ()


@pytest.mark.parametrize("order", ["<", ">"])
def test_planes_are_read_exactly(tmp_path: Path, order: str) -> None:
    """Pillow alone takes each plane's bytes for pixels of 8 bits."""
    samples = smooth(3)
    planes = np.ascontiguousarray(samples.transpose(2, 0, 1))
    options: dict[str, Any] = {"photometric": "rgb", "planarconfig": "separate"}
    tifffile.imwrite(tmp_path / "a.tif", planes, byteorder=order, **options)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").picture.levels, samples)


def test_grey_whose_zero_is_white(tmp_path: Path) -> None:
    samples = smooth(1)[:, :, 0]
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="miniswhite")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").picture.levels, 65535 - samples)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_is_found_among_16_bits(tmp_path: Path, channels: int) -> None:
    samples = smooth(channels)
    samples[2, 3] = samples[7, 5]
    samples[4, 4] = samples[7, 5]
    samples[4, 4, 0] ^= 1  # differs in the last bit
    key = struct.pack(f">{channels}H", *samples[7, 5])
    (tmp_path / "a.png").write_bytes(png_of(samples, (b"tRNS", key)))
    picture = read_picture(tmp_path / "a.png").picture
    expected = np.where((samples == samples[7, 5]).all(2), 0, 65535)
    assert picture.alpha is not None and expected[4, 4]
    np.testing.assert_array_equal(picture.alpha, expected)
    np.testing.assert_array_equal(picture.levels.reshape(samples.shape), samples)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_what_the_file_says_is_kept(restore: Any, tmp_path: Path, suffix: str) -> None:
    """Orientation is applied, profile, EXIF, resolution and texts go along."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x829A] = 0.25  # exposure time
    samples = smooth(3)
    plain = tmp_path / "plain.png"
    plain.write_bytes(png_of(samples, (b"eXIf", exif.tobytes()[6:])))
    turned = read_picture(plain).picture.levels
    np.testing.assert_array_equal(turned, np.rot90(samples, -1))
    with Image.open(plain) as image:  # a file of 8 bits with all of it, as a source of metadata
        image.save(tmp_path / "shell.png", exif=exif, icc_profile=ICC, dpi=(300, 300))
    source = tmp_path / "a.png"
    source.write_bytes(with_pixels_of(tmp_path / "shell.png", plain))
    assert restore(source, tmp_path / f"b{suffix}") == 0
    restored = read_picture(tmp_path / f"b{suffix}")
    assert restored.picture.size == (28, 18) and restored.picture.bits == 16
    assert restored.info["icc_profile"] == ICC
    assert restored.info["dpi"] == pytest.approx((300, 300), rel=1e-3)
    assert (restored.exif[0x010F], restored.exif.get(0x0112)) == ("Maker", None)
    details = restored.exif.get_ifd(0x8769)
    assert float(details[0x829A]) == 0.25
    said = restored.info["text"].get("superres") or details[0x9286].decode()
    assert '"estimate": true' in said
    again = tmp_path / f"c{suffix}"
    assert restore(tmp_path / f"b{suffix}", again) == 0  # what we wrote, we read
    assert read_picture(again).picture.bits == 16


def with_pixels_of(shell: Path, pixels: Path) -> bytes:
    """Return a PNG with one file's header and pixels and all else of another."""
    parts, other = chunks(shell), dict(chunks(pixels))
    return b"\x89PNG\r\n\x1a\n" + b"".join(other.get(name, whole) for name, whole in parts)


def chunks(path: Path) -> list[tuple[bytes, bytes]]:
    content, place, found = path.read_bytes(), 8, []
    while place < len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        if name != b"eXIf" or path.stem == "shell":
            found.append((name, content[place : place + length + 12]))
        place += length + 12
    return found


@pytest.mark.parametrize(
    ("name", "channels", "mode"), [("b.jpg", 3, "RGB"), ("b.jpg", 1, "L"), ("b.webp", 4, "RGBA")]
)
def test_a_format_of_8_bits_gets_8_and_says_so(
    restore: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    channels: int,
    mode: str,
) -> None:
    source = write(tmp_path / "a.png", smooth(channels))
    assert restore(source, tmp_path / name) == 0
    assert "note: 16 bits per channel written as 8, which is what" in capsys.readouterr().out
    assert kind_of(tmp_path / name)[1:] == (mode, (28, 18))


@pytest.mark.parametrize("how", ["premultiplied", "planes", "ppm"])
def test_what_is_read_as_8_bits_says_so(
    restore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    samples, source = smooth(4), tmp_path / "a.tif"
    options: dict[str, Any] = {"photometric": "rgb"}
    if how == "premultiplied":
        tifffile.imwrite(source, samples, extrasamples=["assocalpha"], **options)
    elif how == "planes":
        planes = np.ascontiguousarray(samples[:, :, :3].transpose(2, 0, 1))
        options["planarconfig"] = "separate"
        tifffile.imwrite(source, planes, compression="zlib", **options)
    else:
        source = tmp_path / "a.ppm"
        source.write_bytes(b"P6\n14 9\n65535\n" + samples[:, :, :3].astype(">u2").tobytes())
    assert restore(source, tmp_path / "b.png") == 0
    assert "note: 16 bits per channel read as 8\n" in capsys.readouterr().out
    assert kind_of(tmp_path / "b.png")[2] == (28, 18)


@pytest.mark.parametrize(("name", "channels"), [("a.png", 3), ("a.png", 2), ("a.tif", 3)])
def test_a_truncated_file_is_an_error(
    restore: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    channels: int,
) -> None:
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 65536, (40, 40, channels), dtype=np.uint16)
    source = write(tmp_path / name, samples)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    assert restore(source, tmp_path / "out") == 1
    assert f"{source}: " in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))
