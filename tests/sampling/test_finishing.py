"""What is done to samples with the mean at hand: fidelity, coring, sharpening, ceiling."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from superres.cli import main
from superres.config.check import check_params
from superres.core.errors import SuperresError
from superres.model.folder import read_spec, read_weights, save_model
from superres.model.spec import SamplingSpec
from superres.restoration.restorer import load
from superres.sampling.finishing import (
    DETAIL,
    DEVIATION,
    NEIGHBOURHOOD,
    SURROUNDINGS,
    Finish,
    Rows,
    finished,
    finished_in_bands,
)
from support import tiny_mean_denoiser_params, tiny_params, write_yaml
from tiny_trial import save_random_model

FINISHES = [
    *(Finish(0.8), Finish(0.0, 40.0), Finish(0.8, 40.0)),
    *(Finish(sharpening=0.7), Finish(0.8, 40.0, 0.7)),
    *(Finish(ceiling=0.8), Finish(0.8, 40.0, 0.7, 0.8)),
]


def rows(height: int = 40) -> Rows:
    generator = torch.Generator().manual_seed(0)
    return Rows(*(torch.rand(2, 3, height, 24, generator=generator) for _ in range(2)))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("edges", [[0, 40], [0, 7, 40], [0, 1, 2, 20, 39, 40]])
@pytest.mark.parametrize("finish", FINISHES)
def test_bands_are_those_of_the_whole(scale: int, edges: list[int], finish: Finish) -> None:
    assert_bands_are_those_of_the_whole(rows(), edges, finish, scale)


def assert_bands_are_those_of_the_whole(
    picture: Rows, edges: list[int], finish: Finish, scale: int
) -> None:
    whole = finished(picture, finish, scale)
    parts = [Rows(*(part[:, :, a:b] for part in picture)) for a, b in pairwise(edges)]
    found = torch.cat(list(finished_in_bands(parts, finish, scale)), dim=2)
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-6)


def test_what_is_coarse_is_taken_back_and_what_is_finest_is_kept() -> None:
    mean = torch.full((1, 3, 32, 32), 0.25)
    checks = 0.1 * (-1.0) ** (torch.arange(32)[:, None] + torch.arange(32))
    sampled = mean + 0.3 + checks
    tolerance = {"rtol": 0, "atol": 0.05 * 0.1}
    inner = slice(4, -4)
    found = (finished(Rows(sampled, mean), Finish(1.0), 2) - mean)[..., inner, inner]
    torch.testing.assert_close(found, checks[inner, inner].expand_as(found), **tolerance)
    half = (finished(Rows(sampled, mean), Finish(0.5), 2) - mean)[..., inner, inner]
    expected = 0.15 + checks[inner, inner].expand_as(half)
    torch.testing.assert_close(half, expected, **tolerance)


def test_the_filter_is_a_gaussian() -> None:
    sampled, mean = rows()
    taken = (sampled - finished(Rows(sampled, mean), Finish(1.0), 2)).numpy()
    sigma = (0, 0, 2 * DEVIATION, 2 * DEVIATION)
    expected = gaussian_filter((sampled - mean).numpy(), sigma, mode="nearest", truncate=4.0)
    assert np.abs(taken - expected).max() < 2e-3


def test_coring_leaves_what_is_large_and_takes_what_is_small() -> None:
    mean = torch.full((1, 3, 64, 128), 0.25)
    checks = (-1.0) ** (torch.arange(64)[:, None] + torch.arange(128))
    strength = torch.full((128,), 1.0)
    strength[64:] = 20.0
    difference = checks * strength / 127.5
    found = finished(Rows(mean + difference, mean), Finish(coring=2.0), 2) - mean
    weak, strong = (found[..., columns] for columns in (slice(8, 40), slice(88, 120)))
    # 1 / (1 + 16) of a root mean square of 1 level, 160,000 / (160,000 + 16) of one of 20.
    torch.testing.assert_close(weak, difference[:, 8:40].expand_as(weak) / 17)
    torch.testing.assert_close(strong, difference[:, 88:120].expand_as(strong) * 160000 / 160016)


def test_coring_measures_luma_and_follows_fidelity() -> None:
    sampled, mean = rows()
    difference = (sampled - mean).numpy()
    luma = np.tensordot([0.299, 0.587, 0.114], difference, (0, 1))[:, None]
    power = gaussian_filter(luma**2, (0, 0, 2 * NEIGHBOURHOOD, 2 * NEIGHBOURHOOD), mode="nearest")
    left = power**2 / (power**2 + (30 / 127.5) ** 4)
    held = (finished(Rows(sampled, mean), Finish(0.7), 2) - mean).numpy()
    found = (finished(Rows(sampled, mean), Finish(0.7, 30.0), 2) - mean).numpy()
    assert np.abs(found - left * held).max() < 5e-3


def added_by(sharpening: float, mean: np.ndarray) -> np.ndarray:
    luma = np.tensordot([0.299, 0.587, 0.114], mean, (0, 1))[:, None]
    sigma = (0, 0, 2 * DETAIL, 2 * DETAIL)
    return sharpening * (luma - gaussian_filter(luma, sigma, mode="nearest", truncate=3.0))


def test_sharpening_adds_detail_of_the_means_luma_alone() -> None:
    _, mean = rows()
    found = (finished(Rows(mean, mean), Finish(sharpening=0.5), 2) - mean).numpy()
    assert np.abs(found - added_by(0.5, mean.numpy())).max() < 2e-3
    flat = torch.full((1, 3, 16, 16), 0.25)
    assert torch.equal(finished(Rows(flat, flat), Finish(sharpening=1.0), 2), flat)


def test_beside_what_sharpening_adds_small_differences_are_taken_back() -> None:
    sampled, mean = rows()
    difference = (sampled - mean).numpy()
    added = added_by(0.5, mean.numpy())
    luma = np.tensordot([0.299, 0.587, 0.114], difference, (0, 1))[:, None]
    window = (0, 0, 2 * NEIGHBOURHOOD, 2 * NEIGHBOURHOOD)
    power, masking = (gaussian_filter(x**2, window, mode="nearest") for x in (luma, added))
    left = power**2 / (power**2 + ((30 / 127.5) ** 2 + 3.0**2 * masking) ** 2)
    held = (finished(Rows(sampled, mean), Finish(0.7), 2) - mean).numpy()
    found = (finished(Rows(sampled, mean), Finish(0.7, 30.0, 0.5), 2) - mean).numpy()
    assert np.abs(found - left * held - added).max() < 1e-2


def test_texture_stays_where_the_mean_is_smooth_and_goes_beside_its_edges() -> None:
    mean = torch.full((1, 3, 64, 128), -0.5)
    mean[..., 96:] = 0.5
    noise = 10 / 127.5 * torch.randn(64, 128, generator=torch.Generator().manual_seed(0))
    finish = Finish(sharpening=0.5)
    edges = finished(Rows(mean, mean), finish, 2)
    texture = finished(Rows(mean + noise, mean), finish, 2) - edges
    smooth, edge = (
        float(texture[..., columns].std() / noise[:, columns].std())
        for columns in (slice(8, 72), slice(92, 100))
    )
    assert smooth > 0.99
    assert edge < 0.35


def test_long_bands_are_those_of_the_whole_where_a_ceiling_looks_far() -> None:
    finish, edges = Finish(0.8, 40.0, 0.7, 0.8), [0, 30, 90, 91, 200, 260]
    assert_bands_are_those_of_the_whole(rows(260), edges, finish, 2)


def finished_checks(strength: torch.Tensor, ceiling: float) -> torch.Tensor:
    """Return what is left, in levels, of a chequered difference of a strength in each column."""
    width = len(strength)
    mean = torch.full((1, 3, 64, width), 0.1)
    checks = (-1.0) ** (torch.arange(64)[:, None] + torch.arange(width))
    difference = checks * strength / 127.5
    return 127.5 * (finished(Rows(mean + difference, mean), Finish(ceiling=ceiling), 2) - mean)


def rms(levels: torch.Tensor) -> float:
    return float(levels.square().mean().sqrt())


@pytest.mark.parametrize("ceiling", [0.5, 1.0, 10.0])
def test_a_ceiling_is_over_the_surroundings(ceiling: float) -> None:
    strength = torch.tensor([2.0, 50.0]).repeat_interleave(256)
    found = finished_checks(strength, ceiling)
    # Where everything around is as strong, be it weak or not, but for the 30 levels.
    factors = [2 / (1 + 16 * (ceiling**-4 + (s / 30) ** 4)) ** 0.25 for s in (2, 50)]
    inner = found[..., 96:160], found[..., 352:416]
    expected = [2 * factors[0], 50 * factors[1]]
    assert [rms(part) for part in inner] == pytest.approx(expected, rel=1e-2)
    assert max(expected) <= 30


def test_a_ceiling_weakens_specks_and_strengthens_what_is_weak_beside_them() -> None:
    strength = torch.full((512,), 4.0)
    strength[254:258] = 60.0
    found = finished_checks(strength, 1.0)
    far, beside, speck = found[..., 64:128], found[..., 232:244], found[..., 254:258]
    alike = 2 / 17**0.25
    assert rms(far) == pytest.approx(4 * alike, rel=1e-2)
    assert rms(beside) > 1.7 * 4
    assert rms(speck) < 0.6 * 60


def test_a_ceiling_leaves_colours_and_follows_fidelity_and_coring() -> None:
    sampled, mean = rows()
    luma = np.array([0.299, 0.587, 0.114])
    weak, strong = (
        (finished(Rows(sampled, mean), Finish(0.7, 30.0, ceiling=ceiling), 2) - mean).numpy()
        for ceiling in (0.0, 0.7)
    )
    light = [np.tensordot(luma, one, (0, 1))[:, None] for one in (weak, strong)]
    assert np.abs((weak - light[0]) - (strong - light[1])).max() < 1e-6
    whole = np.tensordot(luma, (sampled - mean).numpy(), (0, 1))[:, None]
    window = (0, 0, 2 * NEIGHBOURHOOD, 2 * NEIGHBOURHOOD)
    power = gaussian_filter(whole**2, window, mode="nearest")
    wide = (0, 0, 2 * SURROUNDINGS, 2 * SURROUNDINGS)
    around = gaussian_filter(power, wide, mode="nearest")
    limits = (0.7**2 * around) ** -2 + (127.5 / 30) ** 4
    gain = 2 / (1 + (4 * power) ** 2 * limits) ** 0.25
    assert np.abs(light[1] - gain * light[0]).max() < 5e-3


@pytest.fixture(scope="module")
def of_two_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("of-two-parts")
    params = write_yaml(folder / "params.yaml", tiny_mean_denoiser_params())
    save_random_model(folder / "best", check_params(params))
    return folder / "best"


def test_a_large_picture_is_as_one_of_one_band(
    of_two_parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (48, 40, 3), np.uint8)
    restorer = load(of_two_parts, device="cpu", window=48)
    kwargs = {"steps": 2, "sampler": "dpmpp_2m", "fidelity": 1.0}
    whole = restorer.restore(photo, **kwargs)
    monkeypatch.setattr("superres.restoration.tiled.BAND_PIXELS", 700)
    banded = restorer.restore(photo, **kwargs)
    assert np.abs(whole.astype(int) - banded).max() <= 1
    plain = restorer.restore(photo, **(kwargs | {"fidelity": 0.0}))
    assert np.abs(whole.astype(int) - plain).max() > 1
    cored = restorer.restore(photo, **(kwargs | {"fidelity": 0.0, "coring": 255.0}))
    estimate = restorer.restore(photo, estimate=True).astype(int)
    far, near = (np.abs(one - estimate).mean() for one in (plain, cored))
    assert 0 < near < 0.9 * far


def test_a_folder_and_the_command_line_say_how_much_is_taken_back(
    of_two_parts: Path, tmp_path: Path
) -> None:
    how = SamplingSpec(sampler="dpmpp_2m", steps=2, spacing="angle", temperature=1.0, coring=9.0)
    spec = read_spec(of_two_parts).model_copy(update={"sampling": how})
    save_model(tmp_path / "best", spec, read_weights(of_two_parts))
    restorer = load(tmp_path / "best", device="cpu")
    usual, asked = restorer.sampling(), restorer.sampling(coring=0.0)
    assert usual is not None and usual.finish == Finish(0.0, 9.0)
    assert asked is not None and asked.finish == Finish()
    Image.fromarray(np.full((12, 12, 3), 90, np.uint8)).save(tmp_path / "in.png")
    words = ["restore", str(tmp_path / "in.png"), str(tmp_path / "out.png")]
    words += ["--model", str(tmp_path / "best"), "--device", "cpu"]
    for more, facts in (
        ([], {"coring": 9.0}),
        (["--fidelity", "0.5", "--coring", "3"], {"fidelity": 0.5, "coring": 3.0}),
        (["--coring", "0", "--sharpening", "0.3"], {"sharpening": 0.3}),
        (["--ceiling", "1.5"], {"coring": 9.0, "ceiling": 1.5}),
    ):
        assert main([*words, *more, "--overwrite"]) == 0
        with Image.open(tmp_path / "out.png") as image:
            found = json.loads(image.info["superres"])
        assert {key: found[key] for key in Finish._fields if key in found} == facts


def test_networks_that_do_not_know_the_mean_refuse(tmp_path: Path) -> None:
    params = tiny_params()
    params["sampler"]["fidelity"] = 0.5
    params["select"]["coring"] = 2.0
    params["select"]["sharpening"] = 0.1
    params["sampler"]["ceiling"] = 1.0
    refused = "{}: must be 0 with model.kind 'unet'"
    with pytest.raises(SuperresError) as raised:
        check_params(write_yaml(tmp_path / "params.yaml", params))
    for key in ("sampler.fidelity", "select.coring", "select.sharpening", "sampler.ceiling"):
        assert refused.format(key) in str(raised.value)
    checked = check_params(write_yaml(tmp_path / "fine.yaml", tiny_params()))
    save_random_model(tmp_path / "best", checked)
    restorer = load(tmp_path / "best", device="cpu")
    with pytest.raises(SuperresError, match="fidelity: must be 0 for this model"):
        restorer.restore(np.zeros((16, 16, 3), np.uint8), fidelity=1.0)
    with pytest.raises(SuperresError, match="fidelity: must be between 0 and 1"):
        restorer.restore(np.zeros((16, 16, 3), np.uint8), fidelity=1.5)
    with pytest.raises(SuperresError, match="coring: must be 0 for this model"):
        restorer.restore(np.zeros((16, 16, 3), np.uint8), coring=1.0)
    with pytest.raises(SuperresError, match="coring: must be between 0 and 255"):
        restorer.restore(np.zeros((16, 16, 3), np.uint8), coring=-1.0)
    with pytest.raises(SuperresError, match=r"sharpening: must be between 0 and 2, got 2\.5"):
        restorer.restore(np.zeros((16, 16, 3), np.uint8), sharpening=2.5)
