"""Flat white and black stay what they are, and what lies beside them is left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from superres.cli import main
from superres.config.check import check_params
from superres.degradation.corruptions import CORRUPTIONS, quantise
from superres.model.resolver import SuperResolver
from superres.restoration import tiled
from superres.restoration.extremes import MOVING, SLACK, Extremes, extremes_are_evidence
from superres.restoration.restorer import Restorer, load
from superres.sampling.samplers import SAMPLERS
from support import tiny_mean_denoiser_params, write_yaml
from tiny_trial import save_random_model

RNG = np.random.default_rng(0)


def page(level: int, height: int = 40, width: int = 36) -> np.ndarray:
    """Return something colourful in a corner of a white or black page."""
    pixels = np.full((height, width, 3), level, np.uint8)
    pixels[:12, :14] = RNG.integers(40, 200, (12, 14, 3))
    return pixels


@pytest.fixture(scope="module")
def of_two_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two parts")
    params = check_params(write_yaml(folder / "params.yaml", tiny_mean_denoiser_params()))
    save_random_model(folder / "best", params)
    return folder / "best"


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize(
    "how",
    [
        {"estimate": True},
        *({"sampler": name, "steps": 2, "spacing": "trailing"} for name in SAMPLERS),
    ],
    ids=lambda how: how.get("sampler", "estimate"),
)
def test_white_and_black_stay(restorer: Restorer, level: int, how: dict[str, object]) -> None:
    for shape in ((9, 7), (30, 41, 3), (1, 1, 3), (5, 90, 4)):
        pixels = np.full(shape, level, np.uint8)
        if len(shape) == 3:
            pixels[..., 3:] = 200
        colours = restorer.restore(pixels, blur=0.5, jpeg=1, **how)
        seen = colours[..., :3] if len(shape) == 3 else colours
        assert (seen == level).all(), shape
    restored = restorer.restore(page(level), **how)
    assert (restored[30:, 34:] == level).all()
    deep = restorer.restore(np.full((9, 9, 3), level * 257, np.uint16), **how)
    assert (deep == level * 257).all()


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("how", [{"estimate": True}, {"steps": 3}], ids=str)
def test_the_network_of_two_parts_too(
    of_two_parts: Path, level: int, how: dict[str, object]
) -> None:
    restored = load(of_two_parts, device="cpu", window=48).restore(page(level), blur=0.3, **how)
    assert np.abs(restored[30:, 34:].astype(int) - level).max() <= 2
    assert restored[:20, :20].std() > 3


@pytest.mark.parametrize("bands", [1, 2])
def test_what_follows_from_a_picture_is_computed_once_for_all_steps(
    of_two_parts: Path, monkeypatch: pytest.MonkeyPatch, bands: int
) -> None:
    """Where one band holds it all; of more, it would fill memory."""
    made = []
    signal = SuperResolver.signal
    monkeypatch.setattr(SuperResolver, "signal", lambda *given: made.append(1) or signal(*given))
    monkeypatch.setattr(tiled, "BAND_PIXELS", -(-72 * 80 // bands))
    low = RNG.integers(0, 256, (36, 40, 3), np.uint8)
    restorer = load(of_two_parts, device="cpu", window=48)
    counts = []
    for steps in (2, 5):
        made.clear()
        restorer.restore(low, steps=steps, fidelity=1)
        counts.append(len(made))
    assert counts[1] - counts[0] == (0 if bands == 1 else 3 * bands)


def test_what_is_not_flat_is_as_if_nothing_were_known(
    restorer: Restorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = page(255)
    known = restorer.restore(pixels, estimate=True)
    monkeypatch.setattr(Extremes, "of", lambda *_: None)
    plain = restorer.restore(pixels, estimate=True)
    assert (plain[30:, 34:] != 255).any()  # or this test could not fail
    np.testing.assert_array_equal(known[:24, :28], plain[:24, :28])


def test_the_rim_goes_over_into_what_is_known() -> None:
    low = torch.from_numpy(page(255)).permute(2, 0, 1)[None] / 127.5 - 1
    found = Extremes.of(low, 2)
    assert found is not None
    dark = found.limit(torch.full((1, 3, 80, 72), -1.0), 0)[0, 0]
    levels = ((dark[10, 20:] + 1) * 127.5).round()
    assert levels[:8].tolist() == [0] * 8
    assert levels[8:12].tolist() == [231, 231, 243, 243] and (levels[12:] == 255).all()
    part = found.limit(torch.full((1, 3, 21, 72), -1.0), 10)[0, 0]
    assert torch.equal(part, dark[10:31])


@pytest.mark.parametrize("row", [0, 7, 19])
def test_a_few_white_pixels_say_nothing(row: int) -> None:
    low = torch.zeros(1, 3, 20, 20)
    low[:, :, row, 3:17] = 1
    low[:, :, ::2, ::2] = -1
    assert Extremes.of(low, 2) is None


def test_one_channel_alone() -> None:
    """A red of 255 says that red was 255, whatever green is."""
    low = torch.zeros(1, 3, 9, 9)
    low[:, 0], low[:, 2] = 1, -1
    found = Extremes.of(low, 4)
    assert found is not None
    limited = found.limit(torch.full((1, 3, 36, 36), 0.5), 0)
    assert [channel.unique().tolist() for channel in limited[0]] == [[1.0], [0.5], [-1.0]]


def test_kinds_that_move_levels_to_the_ends_are_known() -> None:
    """Of colours that are 15 levels from an end, only they make flat white or black."""
    moving = set()
    for kind, corrupt in CORRUPTIONS.items():
        for seed in range(60):
            draw = np.random.default_rng(seed)
            colour = draw.integers(8, 248, 3).astype(np.float32)
            colour[seed % 3] = 15 if seed % 2 else 240
            tile = np.full((24, 24, 3), colour / 255, np.float32)
            entropy = (0.25, 0.5, 1.0)[seed % 3]
            made, _ = corrupt(tile, entropy, lambda draw=draw: draw, 1.0)
            ends = np.isin(quantise(made)[8:16, 8:16, seed % 3], (0, 255))
            moving |= {kind} if ends.all() else set()
    assert moving == MOVING & CORRUPTIONS.keys()


def test_a_picture_that_was_brightened_is_the_models_affair(restorer: Restorer) -> None:
    degradation = {"corruptions": [{"name": "colour", "kind": "color_jitter"}]}
    assert not extremes_are_evidence(degradation, {"colour": 0.3, "jpeg": 0.2})
    assert extremes_are_evidence(degradation, {"colour": 0.0, "jpeg": 0.2})
    assert not extremes_are_evidence({}, {"saturation": 1.0})


def test_the_command(model: Path, tmp_path: Path) -> None:
    Image.new("LA", (30, 20), (255, 128)).save(tmp_path / "a.png")
    words = [
        str(tmp_path / "a.png"),
        str(tmp_path / "b.png"),
        "--model",
        str(model),
        "--steps",
        "2",
    ]
    assert main(["restore", *words, "--device", "cpu"]) == 0
    with Image.open(tmp_path / "b.png") as image:
        assert image.mode == "LA" and image.getextrema() == ((255, 255), (128, 128))


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_what_is_known_in_a_part_is_known_there_alone(scale: int) -> None:
    """Only the part that holds something known is worked on; the result is that of all of it."""
    depths = torch.zeros(1, 3, 20, 30, dtype=torch.int8)
    depths[0, 0, 4:9, 11:19] = torch.randint(-3, 4, (5, 8), dtype=torch.int8)
    depths[0, 2, 0, 29] = 3
    extremes = Extremes(depths, scale)
    pictures = torch.randn(1, 3, 20 * scale, 30 * scale)
    large = depths.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    bounds = torch.tensor([torch.inf, *(1 - slack / 127.5 for slack in SLACK)])
    wanted = torch.where(
        large > 0, torch.maximum(pictures, bounds[large.clamp(0).long()]), pictures
    )
    low = -bounds[(-large).clamp(0).long()]
    wanted = torch.where(large < 0, torch.minimum(pictures, low), wanted)
    for top, bottom in ((0, 20), (5, 20), (0, 20), (8, 12), (10, 20)):
        rows = slice(top * scale, bottom * scale)
        limited = extremes.limit(pictures[:, :, rows].clone(), top * scale)
        assert torch.equal(limited, wanted[:, :, rows])


def test_what_is_known_of_a_whole_picture_is_worked_out_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    made = Extremes._made
    monkeypatch.setattr(Extremes, "_made", lambda *given: asked.append(given) or made(*given))
    extremes = Extremes(torch.ones(1, 3, 6, 5, dtype=torch.int8), 2)
    for _ in range(3):
        assert (extremes.limit(torch.zeros(1, 3, 12, 10), 0) > 0.8).all()
    assert len(asked) == 1
    for _ in range(2):  # a band of several is let go: together they would fill memory
        extremes.limit(torch.zeros(1, 3, 6, 10), 6)
    assert len(asked) == 3
