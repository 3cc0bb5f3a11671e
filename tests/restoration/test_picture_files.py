"""Pixels of every kind become a picture and come back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from superres.core.errors import SuperresError
from superres.core.tensors import to_signal
from superres.restoration.picture import from_array, from_pil, to_array, to_pil

RNG = np.random.default_rng(0)


def pixels(*shape: int, kind: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(kind).max + 1, shape, dtype=kind)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4), (1, 1, 3)])
def test_arrays_come_back_as_they_were(shape: tuple[int, ...], kind: type) -> None:
    array = pixels(*shape, kind=kind)
    picture = from_array(array)
    assert (picture.alpha is not None) == (shape[2:] in ((2,), (4,)))
    np.testing.assert_array_equal(to_array(picture, array), array)


@pytest.mark.parametrize("shape", [(5,), (5, 7, 5), (5, 7, 0), (0, 7, 3), (2, 5, 7, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SuperresError, match="pixels must be H x W"):
        from_array(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("kind", [np.float32, bool, np.int64])
def test_other_kinds_are_refused(kind: type) -> None:
    with pytest.raises(SuperresError, match="pixels must be uint8 or uint16"):
        from_array(np.zeros((4, 4, 3), kind))


def test_networks_see_8_bits_as_in_training() -> None:
    array = pixels(6, 5, 3)
    assert torch.equal(from_array(array).signal(), to_signal(array[None]))
    grey = from_array(array[:, :, 0]).signal()
    assert grey.shape == (1, 3, 6, 5) and torch.equal(grey[:, 0], grey[:, 2])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_restored_pixels_keep_every_level(shape: tuple[int, ...], kind: type) -> None:
    """In bands, and what lies beyond the range is clipped, not wrapped around."""
    picture = from_array(pixels(*shape, kind=kind))
    signal = picture.signal()
    bands = [(slice(0, 4), signal[:, :, :4]), (slice(4, 6), signal[:, :, 4:])]
    np.testing.assert_array_equal(picture.restored((6, 5), bands).levels, picture.levels)
    far = picture.restored((6, 5), [(slice(0, 6), 3 * torch.sign(signal))]).levels
    np.testing.assert_array_equal(far, (signal[0] > 0).permute(1, 2, 0).numpy()[
        ..., : 3 if len(shape) == 3 else 1].reshape(shape) * np.iinfo(kind).max)  # fmt: skip


def test_alpha_is_enlarged_on_its_own() -> None:
    array = pixels(6, 5, 4)
    array[:, :, 3] = 255
    array[:3, :, 3] = 0
    signal = torch.zeros(1, 3, 12, 10)
    restored = from_array(array).restored((12, 10), [(slice(0, 12), signal)])
    assert restored.alpha is not None and restored.alpha.shape == (12, 10)
    assert restored.alpha[:4].max() < 20 and restored.alpha[8:].min() > 235


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "YCbCr", "HSV", "LAB"]
)
def test_modes_of_pillow(mode: str) -> None:
    image = Image.fromarray(pixels(8, 6, 3)).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(pixels(8, 6, kind=np.uint16))
    picture = from_pil(image)
    assert picture.size == (8, 6)
    assert picture.grey == (mode in ("1", "L", "LA", "I;16"))
    assert (picture.alpha is not None) == (mode in ("LA", "RGBA"))
    shown = to_pil(picture)
    assert shown.mode in ("L", "LA", "RGB", "RGBA", "I;16")
    if mode in ("L", "LA", "RGB", "RGBA", "I;16"):
        np.testing.assert_array_equal(np.asarray(shown), np.asarray(image))


def test_a_palette_with_a_transparent_colour_gets_alpha() -> None:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.info["transparency"] = 1
    picture = from_pil(image)
    assert picture.alpha is not None and picture.alpha.tolist() == [[255, 0], [0, 255]]
    assert picture.levels[0, 0].tolist() == [255, 0, 0]


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (4, 4), (255, 0, 0, 0))
    assert from_pil(image).levels[0, 0].tolist() == [0, 255, 255]
    image.info["icc_profile"] = b"no profile"
    assert from_pil(image).levels[0, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (Image.new("F", (3, 3)), "floating-point"),
        (Image.fromarray(np.full((3, 3), 70000, np.int32)), "beyond 16 bits"),
        (Image.fromarray(np.full((3, 3), -1, np.int32)), "beyond 16 bits"),
    ],
)
def test_pixels_without_a_defined_range_are_refused(image: Image.Image, said: str) -> None:
    with pytest.raises(SuperresError, match=said):
        from_pil(image)
