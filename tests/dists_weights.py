"""Random weights of DISTS by the golden values' recipe: 528 MB less to keep."""

import zlib

import numpy as np
import torch

from superres.metrics.weights import COMPARING, VGG

WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Channels of VGG-16's convolutions, and their numbers among torchvision's layers."""
COMPARED = 3 + 64 + 128 + 256 + 512 + 512
SIZES = ((32, 32), (33, 50), (64, 48))
"""Height and width of the golden values' pictures."""


def random_vgg():
    """Return a state dict with the names and shapes of torchvision's, but for its classifier."""
    state = {}
    for place, before, after in zip(PLACES, (3, *WIDTHS[:-1]), WIDTHS, strict=True):
        drawn = _normal(f"features.{place}.weight", (after, before, 3, 3))
        state[f"features.{place}.weight"] = drawn * np.float32(np.sqrt(2 / (9 * before)))
        state[f"features.{place}.bias"] = _normal(f"features.{place}.bias", after) / 10
    return {name: torch.from_numpy(drawn) for name, drawn in state.items()}


def random_comparing():
    """Return `alpha` and `beta`: positive, some of them 0."""
    return {
        name: torch.from_numpy(_normal(name, (1, COMPARED, 1, 1)).clip(0)) * factor
        for name, factor in (("alpha", 0.02), ("beta", 0.005))
    }


def write_dists(folder, vgg=None, comparing=None):
    """Write both files under their published names and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    unused = {"classifier.6.bias": torch.zeros(3)}  # as published, the classifier is in it
    torch.save((vgg or random_vgg()) | unused, folder / VGG)
    torch.save(comparing or random_comparing(), folder / COMPARING)
    return folder


def _normal(name, shape):
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    return generator.standard_normal(shape, dtype=np.float32)
