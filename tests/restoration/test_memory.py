"""Memory while a large picture is restored, measured in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support import ROOT, run

# The network is replaced by one that costs nothing, so that 2048 px take seconds; everything else
# (windows, bands, samplers) is what it is.
SCRIPT = """
import resource
import sys
import numpy as np
import torch
import superres
from superres.inference import Sampling
from superres.restoration import whole
from superres.restoration.pictures import from_array

torch.set_num_threads(1)
whole.bind = lambda *_: lambda x, t: torch.cat([x, 0 * x], 1)
restorer = superres.load(sys.argv[1], device="cpu")
told = dict.fromkeys(restorer.corruptions, 0.5)

def restore(edge):
    pixels = np.random.default_rng(0).integers(0, 256, (edge // 2, edge // 2, 3), dtype=np.uint8)
    restorer.run(from_array(pixels), told, Sampling("ddpm", 2))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

small = restore(64)
print((restore(2048) - small) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_a_picture_is_held_a_few_times_not_once_per_variable(project: Path) -> None:
    """2048 x 2048 x 3 float32 are 48 MiB; freed memory that threads keep would double the peak."""
    done = run(ROOT, sys.executable, "-c", SCRIPT, str(project / "models/best"))
    assert float(done.stdout.split()[-1]) < 800
