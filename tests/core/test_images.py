import pickle

import numpy as np
import pytest
from PIL import Image

from superres.core.images import UnreadableImage, encode_png, read_image

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
