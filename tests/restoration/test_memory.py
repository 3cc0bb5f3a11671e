"""Memory while a picture is restored: measured in a process of its own, and counted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from benchmarks.restoring_memory import cost, default_model, window_bytes
from superres.sampling.batch import Sampling
from superres.training.live_tensors import LiveTensors
from support import ROOT, run

# The network is replaced by one that costs nothing, so that 2048 px take seconds; everything else
# (windows, bands, samplers) is what it is.
SCRIPT = """
import resource
import sys
import numpy as np
import torch
import superres
from superres.sampling.batch import Sampling
from superres.restoration import tiled
from superres.restoration.picture import from_array

torch.set_num_threads(1)
tiled.bind = lambda *_: lambda x, t: torch.cat([x, 0 * x], 1)
restorer = superres.load(sys.argv[1], device="cpu")
told = dict.fromkeys(restorer.corruptions, 0.5)

how = Sampling(sys.argv[2], 2)

def restore(edge):
    pixels = np.random.default_rng(0).integers(0, 256, (edge // 2, edge // 2, 3), dtype=np.uint8)
    restorer.run(from_array(pixels), told, how)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

small = restore(64)
print((restore(2048) - small) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
@pytest.mark.parametrize("sampler", ["ddpm", "heun"])
def test_a_picture_is_held_a_few_times_not_once_per_variable(project: Path, sampler: str) -> None:
    """2048 x 2048 x 3 float32 are 48 MiB; freed memory that threads keep would double the peak."""
    done = run(ROOT, sys.executable, "-c", SCRIPT, str(project / "models/best"), sampler)
    assert float(done.stdout.split()[-1]) < 800


def test_tensors_are_counted_while_any_view_of_them_lives() -> None:
    with LiveTensors() as live:
        large = torch.zeros(1000)
        part = large[10:20]
        del large
        assert live.now == 4000
        part = part + 1
        assert live.now == 40
    assert live.peak == 4040
    del part
    assert live.now == 0


def test_the_documented_network_takes_the_documented_memory() -> None:
    """docs/restore.md: bytes per pixel of the windows that are evaluated at once."""
    assert 350 < window_bytes(default_model()) <= 400


@pytest.mark.parametrize(
    ("how", "per_pixel"),
    [
        (None, 14),
        (Sampling("ddpm", 3), 14),
        (Sampling("dpmpp_2m", 3), 28),
        (Sampling("heun", 3), 38),
    ],
    ids=lambda value: str(getattr(value, "sampler", value)),
)
def test_samplers_hold_what_is_documented(how: Sampling | None, per_pixel: float) -> None:
    """Per pixel of the picture, and beside it 135 bytes per pixel of one band."""
    spent = cost(default_model(), how)
    assert per_pixel - 2 < spent.per_pixel <= per_pixel
    assert 0 < spent.per_band_pixel <= 135


def test_flat_white_takes_what_is_documented() -> None:
    """One byte per pixel, and of a band 15 bytes per pixel more than is documented for others."""
    how, model = Sampling("dpmpp_2m", 3), default_model()
    usual, white = cost(model, how), cost(model, how, 255)
    assert usual.per_pixel < white.per_pixel <= usual.per_pixel + 1
    assert white.per_band_pixel <= 150
