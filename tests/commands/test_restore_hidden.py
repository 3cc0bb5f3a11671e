"""Colours that alpha hides, and colours where there are none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

import superres
from picture_files import png_of
from superres.commands import restore as restore_command
from superres.core.images import read_image
from superres.entropy.estimator import EntropyEstimator, EstimatorSpec, save_estimator
from superres.restoration.entropy_sheet import entropy_sheet
from superres.restoration.picture import from_array
from superres.restoration.picture_files import read_picture
from superres.restoration.restorer import Restorer

RNG = np.random.default_rng(7)
HEIGHT, WIDTH = 40, 56
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
DISC = np.hypot(ROWS - 18, COLUMNS - 30) < 13


def photograph(white: int = 255) -> np.ndarray:
    waves = [np.sin(ROWS / 5 + index) + np.cos(COLUMNS / 6 - index) for index in range(3)]
    noise = np.random.default_rng(3).normal(0, 0.1, (HEIGHT, WIDTH, 3))
    return np.rint(((np.stack(waves, axis=2) + noise) / 4.8 + 0.5).clip(0, 1) * white)


def pair(channels: int, kind: type, hidden: Any = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return two pictures that look the same: one with all its colours, one with others hidden."""
    white = np.iinfo(kind).max
    colours = photograph(white)[:, :, : channels - 1].astype(kind)
    fade = np.where(DISC, white - 3000 * (white > 255) - 20 * (ROWS % 3), 0)
    alpha = fade.astype(kind)[:, :, np.newaxis]
    other = np.where(alpha > 0, colours, np.asarray(hidden, kind))
    return np.concatenate([colours, alpha], 2), np.concatenate([other, alpha], 2)


def premultiplied(array: np.ndarray) -> np.ndarray:
    white = np.iinfo(array.dtype).max
    return array[..., :-1].astype(float) * array[..., -1:] / white


@pytest.fixture(scope="module")
def model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the model folder that has an estimator beside it."""
    folder = tmp_path_factory.mktemp("estimating")
    estimator = EntropyEstimator(
        EstimatorSpec(
            format="superres-entropy-1",
            entropies=["blur", "jpeg"],
            degradation={"scale": 2},
            channels=4,
            caution=1,
        )
    )
    save_estimator(folder / "entropy", estimator)
    return shutil.copytree(model, folder / "best")


@pytest.fixture(scope="module")
def restorer(model: Path) -> Restorer:
    return superres.load(model, device="cpu")


@pytest.mark.parametrize("hidden", [0, 255, "noise"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("how", [{"estimate": True}, {"steps": 3}, {"entropy": "auto", "steps": 2}])
def test_hidden_colours_have_no_influence_on_arrays(
    restorer: Restorer, channels: int, kind: type, hidden: Any, how: dict[str, Any]
) -> None:
    if hidden == "noise":
        hidden = RNG.integers(0, 256, (HEIGHT, WIDTH, channels - 1))
    one, two = pair(channels, kind, hidden)
    assert (one != two).any()
    first, second = from_array(one), from_array(two)
    assert first.identity == second.identity
    assert restorer.entropies(first, {}, "auto") == restorer.entropies(second, {}, "auto")
    restored = [restorer.restore(each, **how) for each in (one, two)]
    assert restored[0].shape == (2 * HEIGHT, 2 * WIDTH, channels)
    np.testing.assert_array_equal(*map(premultiplied, restored))


def files(folder: Path, kind: str) -> list[Path]:
    """Write the pair as files of a kind."""
    bits = np.uint16 if kind.endswith("16") else np.uint8
    name, channels = kind.split("-", maxsplit=1)[0], 2 if "LA" in kind else 4
    paths = []
    for index, array in enumerate(pair(channels, bits, [9, 200, 90][: channels - 1])):
        path = folder / f"{index}.{'png' if name in ('P', 'RGB', 'L') else name}"
        paths.append(path)
        if bits == np.uint16:
            path.write_bytes(png_of(array))
        elif name in ("P", "gif"):
            shown = np.asarray(Image.fromarray(pair(4, np.uint8)[0][:, :, :3]).quantize(200))
            indices = np.where(DISC, shown % 200, 255).astype(np.uint8)
            image = Image.fromarray(indices, "P")
            palette = RNG_PALETTE.copy()
            palette[255] = (0, 0, 0) if index else (250, 10, 250)
            image.putpalette(palette.tobytes())
            image.save(path, transparency=255)
        elif name in ("RGB", "L"):  # one colour is transparent
            colours = photograph()[:, :, : 3 if name == "RGB" else 1].astype(np.uint8) | 1
            key = (0, 0, 0) if index else (254, 2, 254)
            colours = np.where(DISC[:, :, np.newaxis], colours, key[: colours.shape[2]])
            image = Image.fromarray(colours.astype(np.uint8).squeeze())
            image.save(path, transparency=key if name == "RGB" else key[0])
        else:
            options = {"lossless": True, "exact": True} if name == "webp" else {}
            Image.fromarray(array).save(path, **options)
    return paths


RNG_PALETTE = RNG.integers(0, 256, (256, 3)).astype(np.uint8)
KINDS = ["png", "png-LA", "png-16", "png-LA16", "tif", "webp", "P", "gif", "RGB", "L"]


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_colours_have_no_influence_on_files(
    restore: Any, restorer: Restorer, tmp_path: Path, kind: str
) -> None:
    paths = files(tmp_path, kind)
    read = [read_picture(path).picture for path in paths]
    assert (read[0].levels != read[1].levels).any()
    assert read[0].identity == read[1].identity
    np.testing.assert_array_equal(*map(read_image, paths))  # as `tile` and `evaluate` see them
    assert (read_image(paths[0])[~DISC] == 255).all()
    shown = []
    for path in paths:
        out = path.with_name(f"{path.name}.png")
        assert restore(path, out, "--entropy", "auto") == 0
        picture = read_picture(out).picture
        white = 65535 if picture.bits == 16 else 255
        assert picture.alpha is not None
        levels = picture.levels.reshape(*picture.size, -1)
        shown.append(levels * (picture.alpha[:, :, np.newaxis] / white))
    np.testing.assert_array_equal(*shown)
    if kind != "png-16":  # Pillow's own pixels
        in_python = [restorer.restore(Image.open(path), steps=2) for path in paths]
        np.testing.assert_array_equal(*(premultiplied(np.asarray(each)) for each in in_python))


def test_what_lies_under_a_sheet_is_seen_by_nobody(restorer: Restorer) -> None:
    one, two = (from_array(array) for array in pair(4, np.uint8))
    sheets = [
        entropy_sheet(restorer, each, {"blur": 0.0, "jpeg": 0.0}, None, 0) for each in (one, two)
    ]
    np.testing.assert_array_equal(sheets[0].levels, sheets[1].levels)


def test_hidden_pixels_become_like_the_nearest_visible_ones() -> None:
    array = np.zeros((1, 6, 2), np.uint8)
    array[0, :, 0] = (7, 50, 9, 9, 200, 1)
    array[0, :, 1] = (0, 255, 0, 0, 1, 0)
    picture = from_array(array)
    assert picture.seen[0].tolist() == [50, 50, 50, 200, 200, 200]
    assert picture.levels[0].tolist() == [7, 50, 9, 9, 200, 1]  # itself as it was
    array[:, :, 1] = 0
    assert len(np.unique(from_array(array).seen)) == 1


def test_strengths_are_those_of_the_visible_part(restorer: Restorer) -> None:
    """On the grid of JPEG's blocks, so that it says as much as it would by itself."""
    whole = np.zeros((64, 96, 4), np.uint8)
    whole[16:48, 24:72, :3] = RNG.integers(0, 256, (32, 48, 3))
    whole[16:48, 24:72, 3] = 255
    part = from_array(np.ascontiguousarray(whole[16:48, 24:72]))
    assert restorer.entropies(from_array(whole), {}, "auto") == restorer.entropies(part, {}, "auto")
    whole[47, 71, 3] = whole[16, 24, 3] = 1
    assert from_array(whole).visible_part().size == (32, 48)


GREYS = [("png", "RGB"), ("png", "RGBA"), ("png", "P"), ("png", "16"), ("gif", "L"), ("bmp", "P")]
GREYS += [("tif", "RGB"), ("webp", "RGB"), ("jpg", "RGB"), ("ppm", "RGB"), ("avif", "RGB")]


@pytest.mark.parametrize(("suffix", "mode"), GREYS)
def test_greys_in_files_of_colours_stay_grey(
    restore: Any, restorer: Restorer, tmp_path: Path, suffix: str, mode: str
) -> None:
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    grey = photograph()[:, :, 0].astype(np.uint8)
    source = tmp_path / f"a.{suffix}"
    if mode == "16":
        source.write_bytes(png_of(np.repeat(grey[:, :, np.newaxis] * np.uint16(257), 3, axis=2)))
    else:
        lossless = {"lossless": True} if suffix == "webp" else {}
        Image.fromarray(grey).convert(mode).save(source, **lossless)
    for number, how in enumerate(("--steps=3", "--estimate")):
        for name in {suffix.replace("gif", "png"), "webp", "tif" if mode == "RGBA" else "jpg"}:
            out = tmp_path / f"b{number}.{name}"
            assert restore(source, out, *([how] if number else []), estimate=bool(number)) == 0
            levels = read_image(out)
            spread = levels.max(axis=2).astype(int) - levels.min(axis=2)
            assert spread.max() <= (name == "webp"), name  # whose decoder rounds each channel
            out.unlink()
    restored = np.asarray(restorer.restore(Image.open(source).convert("RGB"), steps=3))
    assert (restored == restored[:, :, :1]).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_greys_in_colours_are_restored_as_greys(restorer: Restorer, kind: type) -> None:
    grey = photograph(np.iinfo(kind).max)[:, :, 0].astype(kind)
    colours = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    hidden = np.dstack([colours, np.full_like(grey, np.iinfo(kind).max)])
    hidden[0, :, 3] = 0
    hidden[0, :, :3] = (1, 2, 3)  # colours that nobody sees
    for how in ({"estimate": True}, {"steps": 3}, {"steps": 3, "sampler": "heun"}):
        restored = restorer.restore(colours, **how)
        assert restored.shape == (2 * HEIGHT, 2 * WIDTH, 3)
        np.testing.assert_array_equal(restored[:, :, 1], restorer.restore(grey, **how))
        assert (restored == restored[:, :, :1]).all()
        cut = restorer.restore(hidden, **how)
        assert (cut[:, :, :3] == cut[:, :, :1]).all()
    almost = colours.copy()
    almost[3, 3, 2] ^= 1
    restored = restorer.restore(almost, steps=3)
    assert (restored != restored[:, :, :1]).any()


def test_the_command_says_strengths_of_what_is_visible(
    restore: Any, restorer: Restorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(restore_command, "echo", lambda text, *_: seen.append(text))
    for path in files(tmp_path, "png"):
        assert restore(path, tmp_path / f"{path.stem}-out.png", "--entropy", "auto") == 0
    said = [text.split(": ", 1)[1] for text in seen if "->" in text]
    assert len(said) == 2 and said[0] == said[1]
