"""Samples held to the mean in what is coarse."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from superres.config.check import check_params
from superres.core.errors import SuperresError
from superres.restoration.restorer import load
from superres.sampling.held_to_mean import DEVIATION, Rows, in_bands, nearer_to_mean
from support import tiny_mean_denoiser_params, tiny_params, write_yaml
from tiny_trial import save_random_model


def rows() -> Rows:
    generator = torch.Generator().manual_seed(0)
    return Rows(*(torch.rand(2, 3, 40, 24, generator=generator) for _ in range(2)))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("edges", [[0, 40], [0, 7, 40], [0, 1, 2, 20, 39, 40]])
def test_bands_are_those_of_the_whole(scale: int, edges: list[int]) -> None:
    whole = nearer_to_mean(rows(), 0.8, scale)
    parts = [Rows(*(part[:, :, a:b] for part in rows())) for a, b in pairwise(edges)]
    found = torch.cat(list(in_bands(parts, 0.8, scale)), dim=2)
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-6)


def test_what_is_coarse_is_taken_back_and_what_is_finest_is_kept() -> None:
    mean = torch.full((1, 3, 32, 32), 0.25)
    checks = 0.1 * (-1.0) ** (torch.arange(32)[:, None] + torch.arange(32))
    sampled = mean + 0.3 + checks
    tolerance = {"rtol": 0, "atol": 0.05 * 0.1}
    inner = slice(4, -4)
    found = (nearer_to_mean(Rows(sampled, mean), 1.0, 2) - mean)[..., inner, inner]
    torch.testing.assert_close(found, checks[inner, inner].expand_as(found), **tolerance)
    half = (nearer_to_mean(Rows(sampled, mean), 0.5, 2) - mean)[..., inner, inner]
    expected = 0.15 + checks[inner, inner].expand_as(half)
    torch.testing.assert_close(half, expected, **tolerance)


def test_the_filter_is_a_gaussian() -> None:
    sampled, mean = rows()
    taken = (sampled - nearer_to_mean(Rows(sampled, mean), 1.0, 2)).numpy()
    sigma = (0, 0, 2 * DEVIATION, 2 * DEVIATION)
    expected = gaussian_filter((sampled - mean).numpy(), sigma, mode="nearest", truncate=4.0)
    assert np.abs(taken - expected).max() < 2e-3


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


def test_networks_that_do_not_know_the_mean_refuse(tmp_path: Path) -> None:
    params = tiny_params()
    params["sampler"]["fidelity"] = 0.5
    with pytest.raises(
        SuperresError, match=r"sampler\.fidelity: must be 0 with model\.kind 'unet'"
    ):
        check_params(write_yaml(tmp_path / "params.yaml", params))
    checked = check_params(write_yaml(tmp_path / "fine.yaml", tiny_params()))
    save_random_model(tmp_path / "best", checked)
    restorer = load(tmp_path / "best", device="cpu")
    with pytest.raises(SuperresError, match="fidelity: must be 0 for this model"):
        restorer.restore(np.zeros((16, 16, 3), np.uint8), fidelity=1.0)
    with pytest.raises(SuperresError, match="fidelity: must be between 0 and 1"):
        restorer.restore(np.zeros((16, 16, 3), np.uint8), fidelity=1.5)
