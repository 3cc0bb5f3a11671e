import pickle
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from picture_files import png_of
from superres.core.images import NoImage, UnreadableImage, encode_png, read_image

RGB = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "ppm"])
def test_lossless_formats_come_back_exactly(tmp_path, suffix):
    path = tmp_path / f"写真.{suffix}"
    Image.fromarray(RGB).save(path)
    image = read_image(path)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous and image.flags.writeable
    np.testing.assert_array_equal(image, RGB)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    # what each value says has to be done to the stored pixels (EXIF 2.3, tag 0x0112)
    upright = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RGB).save(tmp_path / "p.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "p.png"), upright[orientation](RGB))


def test_greyscale_and_16_bit_greyscale_agree(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "8.png")
    for name in ("16.png", "16.tif", "16.pgm"):
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name), read_image(tmp_path / "8.png"))
    np.testing.assert_array_equal(read_image(tmp_path / "8.png")[..., 1], grey)


def test_16_bit_greyscale_rounds(tmp_path):
    Image.fromarray(np.array([[128, 129, 65535, 0]], np.uint16)).save(tmp_path / "p.png")
    assert read_image(tmp_path / "p.png")[0, :, 0].tolist() == [0, 1, 255, 0]


DEEP = np.random.default_rng(1).integers(0, 65536, (9, 14, 4), dtype=np.uint16)
ROUNDED = np.rint(DEEP / 257).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif", "ppm"])
@pytest.mark.parametrize("archived", [False, True])
def test_16_bits_of_colour_round_as_those_of_grey(tmp_path, suffix, channels, archived):
    """On white where there is alpha: what the same picture of 8 bits gives."""
    path, samples, rounded = tmp_path / f"p.{suffix}", DEEP[:, :, :channels], ROUNDED
    rounded = rounded[:, :, :channels]
    if suffix == "png":
        path.write_bytes(png_of(samples))
    elif suffix == "tif" and channels != 2:
        kind = "rgb" if channels > 2 else "minisblack"
        alpha = ["unassalpha"] if channels == 4 else None
        tifffile.imwrite(path, samples.squeeze(), photometric=kind, extrasamples=alpha)
    elif suffix == "ppm" and channels in (1, 3):
        head = b"P5" if channels == 1 else b"P6"
        path.write_bytes(head + b"\n14 9\n65535\n" + samples.astype(">u2").tobytes())
    else:
        pytest.skip("there are no such files")
    Image.fromarray(rounded.squeeze()).save(tmp_path / "8.png")
    image = read_image("none", path.read_bytes()) if archived else read_image(path)
    np.testing.assert_array_equal(image, read_image(tmp_path / "8.png"))
    if channels == 3:
        np.testing.assert_array_equal(image, rounded)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_of_16_bits_becomes_white(tmp_path, channels):
    samples = DEEP[:, :, :channels].copy()
    samples[2, 3] = samples[7, 5]
    key = (b"tRNS", struct.pack(f">{channels}H", *samples[7, 5]))
    (tmp_path / "p.png").write_bytes(png_of(samples, key))
    image = read_image(tmp_path / "p.png")
    assert (image == 255).all(axis=2)[[2, 7], [3, 5]].all()
    shown = np.broadcast_to(ROUNDED[:, :, :channels], RGB.shape)
    np.testing.assert_array_equal(image[3:7], shown[3:7])


def test_greys_of_16_bits_whose_zero_is_white(tmp_path):
    tifffile.imwrite(tmp_path / "p.tif", DEEP[:, :, 0], photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "p.tif")[:, :, 0], 255 - ROUNDED[:, :, 0])


def heic(path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.new("RGB", (32, 24), (200, 40, 90))).save(path)
    return path


@pytest.mark.parametrize("name", ["p.heic", "p.HEIF", "p.jpg", "p"])
def test_heic_is_read_by_its_content(tmp_path, name):
    path = heic(tmp_path / "p.heic").rename(tmp_path / name)
    for image in (read_image(path), read_image("none", path.read_bytes())):
        assert image.shape == (24, 32, 3)
        np.testing.assert_allclose(image[12, 16].astype(int), (200, 40, 90), atol=6)


@pytest.mark.parametrize("name", ["p.heic", "p.jpg", "p"])
def test_heic_without_its_library_says_what_is_missing(tmp_path, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(UnreadableImage, match="HEIC needs pillow-heif: pip install") as caught:
        read_image(tmp_path / name)
    assert not isinstance(caught.value, NoImage)  # an image, to be counted as unreadable


def test_texts_are_bounded_by_the_file_and_pillow_gets_its_limits_back(tmp_path):
    paths = []
    for number in range(6):
        info = PngImagePlugin.PngInfo()
        info.add_text("long", "a" * (2_000_000 + number), zip=number % 2 > 0)
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(RGB).save(paths[-1], pnginfo=info)
    before = (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)
    with ThreadPoolExecutor(4) as pool:
        for image in pool.map(read_image, 5 * paths):
            np.testing.assert_array_equal(image, RGB)
    assert before == (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)


def test_transparent_pixels_become_white(tmp_path):
    rgba = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    rgba[:4, :, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "p.png")
    image = read_image(tmp_path / "p.png")
    assert (image[:4] == 255).all()
    np.testing.assert_array_equal(image[4:], RGB[4:])


def test_palette_with_transparency(tmp_path):
    picture = Image.new("P", (4, 2), 0)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "p.png", transparency=1)
    image = read_image(tmp_path / "p.png")
    assert image[0, 0].tolist() == [255, 0, 0]
    assert image[0, 1].tolist() == [255, 255, 255]


def test_cmyk_and_one_bit(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "cmyk.tif")
    assert read_image(tmp_path / "cmyk.tif")[3, 3].tolist() == [255, 0, 0]
    Image.new("1", (8, 8), 1).save(tmp_path / "bit.png")
    assert (read_image(tmp_path / "bit.png") == 255).all()


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "p.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "p.gif")[0, 0].tolist() == [255, 0, 0]


def _truncated(path):
    Image.fromarray(RGB.repeat(20, 0).repeat(20, 1)).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:900])


def _bomb(path):
    Image.new("1", (20000, 20000)).save(path, "PNG")


UNREADABLE = {
    "the file is empty": lambda path: path.write_bytes(b""),
    "not an image in a known format": lambda path: path.write_text("a shopping list"),
    "truncated": _truncated,
    "decompression bomb": _bomb,
    "No such file or directory": lambda path: None,
    "floating-point": lambda path: Image.new("F", (4, 4), 0.5).save(path, "TIFF"),
    "beyond 16 bits": lambda path: Image.new("I", (4, 4), 70000).save(path, "TIFF"),
}


@pytest.mark.parametrize("reason", UNREADABLE)
def test_unreadable_files_are_named_with_a_reason(tmp_path, reason):
    path = tmp_path / "p.png"
    UNREADABLE[reason](path)
    with pytest.raises(UnreadableImage, match=reason) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in caught.value.reason
    copy = pickle.loads(pickle.dumps(caught.value))  # as it comes back from a worker process
    assert str(copy) == str(caught.value)


def test_large_cameras_give_no_warning(tmp_path, recwarn, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # RGB has 126: between limit and twice it
    Image.fromarray(RGB).save(tmp_path / "p.png")
    assert read_image(tmp_path / "p.png").shape == RGB.shape
    assert not recwarn.list


def test_png_is_deterministic_and_exact(tmp_path):
    assert encode_png(RGB) == encode_png(RGB.copy())
    (tmp_path / "p.png").write_bytes(encode_png(RGB))
    np.testing.assert_array_equal(read_image(tmp_path / "p.png"), RGB)


def test_png_refuses_other_than_8_bits():
    with pytest.raises(ValueError, match="float32"):
        encode_png(RGB.astype(np.float32))
