"""One picture: one window is the plain sampler, many windows are nearly that, noise is its own."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from superres.diffusion.noise import ItemNoise
from superres.model.folder import SuperResolver
from superres.restoration import tiled
from superres.restoration.job import Job, Tiling
from superres.restoration.picture import from_array
from superres.restoration.restorer import Restorer
from superres.restoration.tiled import restore_in_bands
from superres.sampling.batch import Batch, Sampling
from superres.sampling.samplers import SAMPLERS, evaluations
from superres.training.live_tensors import LiveTensors

ENTROPY = [[0.3, 0.6]]
WAYS = [None, *(Sampling(name, 4, "trailing") for name in SAMPLERS)]


def texture(height: int, width: int, seed: int = 0, sigma: float = 1.0) -> np.ndarray:
    """Return a picture that is alike everywhere."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    smooth = gaussian_filter(noise, (sigma, sigma, 0), mode="wrap")
    return (127 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def job(model: SuperResolver, low: np.ndarray, window: int, batch: int = 4) -> Job:
    picture = from_array(low)
    tiling = Tiling(window, batch)
    return Job(model, picture.signal(), torch.tensor(ENTROPY), picture.identity, 5, tiling)


def restored(
    model: SuperResolver, low: np.ndarray, window: int, how: Sampling | None, batch: int = 4
) -> Tensor:
    return torch.cat([rows for _, rows in restore_in_bands(job(model, low, window, batch), how)], 2)


@pytest.mark.parametrize("how", WAYS, ids=lambda how: how.sampler if how else "estimate")
def test_one_window_is_the_plain_sampler_exactly(restorer: Restorer, how: Sampling | None) -> None:
    low = texture(20, 15)
    batch = Batch(restorer.model, low[None], np.array(ENTROPY), [from_array(low).identity], 5)
    plain = batch.estimate() if how is None else batch.sample(how)
    assert torch.equal(restored(restorer.model, low, 40, how), plain)


@pytest.mark.parametrize("how", WAYS, ids=lambda how: how.sampler if how else "estimate")
def test_bands_change_nothing(
    restorer: Restorer, how: Sampling | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many samplers side by side do what one does, down to the interpolation at their rims."""
    low = texture(40, 20)
    in_one = restored(restorer.model, low, 48, how)
    monkeypatch.setattr(tiled, "BAND_PIXELS", 300)
    bands = [band for band, _ in restore_in_bands(job(restorer.model, low, 48), how)]
    assert len(bands) == 11 and bands[0].top == 0 and bands[-1].bottom == 80
    torch.testing.assert_close(restored(restorer.model, low, 48, how), in_one)


@pytest.mark.parametrize("batch", [1, 5, 100])
def test_windows_at_once_change_nothing(restorer: Restorer, batch: int) -> None:
    low, how = texture(40, 60), Sampling(steps=3)
    one = restored(restorer.model, low, 48, how, batch=3)
    torch.testing.assert_close(restored(restorer.model, low, 48, how, batch), one)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * float(np.log10(4 / ((a - b) ** 2).mean()))


def energies(image: np.ndarray, lines: list[int], axis: int) -> np.ndarray:
    """Return the squared steps across some lines, and those across all, per pixel."""
    steps = np.diff(image, axis=axis) ** 2
    return np.array([steps.take([line - 1 for line in lines], axis).mean(), steps.mean()])


@pytest.mark.parametrize("how", [None, Sampling(steps=5)], ids=["estimate", "ddpm"])
def test_no_seams_in_a_picture_of_8_tiles(restorer: Restorer, how: Sampling | None) -> None:
    """As good as in one window, and as much detail on the windows' borders as elsewhere."""
    high = texture(256, 256, sigma=2.0)
    low = high.reshape(128, 2, 128, 2, 3).mean((1, 3)).astype(np.uint8)
    original = high.transpose(2, 0, 1)[None] / 127.5 - 1
    one = restored(restorer.model, low, 256, how).numpy()
    many = restored(restorer.model, low, 64, how).numpy()
    assert not np.array_equal(one, many)
    assert abs(psnr(one, original) - psnr(many, original)) < 0.5
    windows = job(restorer.model, low, 64).grid().windows
    starts = sorted({window.row for window in windows})
    lines = sorted({*starts[1:], *(start + 64 for start in starts[:-1])})
    # The same lines with one window say what the picture itself has there.
    border, everywhere = sum(energies(many, lines, axis) for axis in (2, 3))
    expected, usual = sum(energies(one, lines, axis) for axis in (2, 3))
    assert border / everywhere == pytest.approx(expected / usual, rel=0.02)


def test_windows_are_counted(restorer: Restorer) -> None:
    seen: list[int] = []
    low, how = texture(40, 60), Sampling("heun", 3, "trailing")
    for _ in restore_in_bands(job(restorer.model, low, 48, 2), how, watch=seen.append):
        pass
    wanted = evaluations("heun", 3) * len(job(restorer.model, low, 48).grid())
    assert sum(seen) == wanted == restorer.windows(from_array(low), how)


def test_nothing_is_held_when_the_rest_of_a_picture_is_not_wanted(restorer: Restorer) -> None:
    threads = threading.active_count()
    with LiveTensors() as live:
        picture = job(restorer.model, texture(600, 900), 900, 1)
        before = live.now
        running = restore_in_bands(picture, None)
        next(running)
        assert live.now > before + 4 * 3 * 600 * 900
        assert threading.active_count() == threads
        running.close()
        del running
        assert live.now == before


def test_what_a_bands_sampler_raises_is_raised(
    restorer: Restorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiled, "bind", lambda *_: lambda x, t: x)
    with pytest.raises(ValueError, match="needs 6 output channels, got 3"):
        list(restore_in_bands(job(restorer.model, texture(40, 20), 48), Sampling(steps=2)))


@pytest.mark.parametrize("shape", [(3, 50, 41), (3, 1, 1), (3, 7, 2)])
def test_a_bands_noise_is_the_pictures(shape: tuple[int, int, int]) -> None:
    seed = 2**63 - 12345
    source = ItemNoise([seed], shape)
    bands = [(0, 1), (shape[1] // 2, shape[1]), (0, shape[1])]
    sources = [ItemNoise([seed], shape, rows=band) for band in bands]
    for _ in range(3):
        picture = source()
        for (top, bottom), band in zip(bands, sources, strict=True):
            torch.testing.assert_close(band(), picture[:, :, top:bottom], rtol=1e-5, atol=1e-6)
