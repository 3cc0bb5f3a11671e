"""Random weights of LPIPS and pictures by the golden values' recipe: 244 MB less to keep."""

import zlib

import numpy as np
import torch

from superres.metrics.weights import ALEXNET, LINEAR

CHANNELS = (3, 64, 192, 384, 256, 256)
KERNELS = {0: 11, 3: 5, 6: 3, 8: 3, 10: 3}
SIZES = ((32, 32), (64, 64), (65, 97))
"""Height and width of the golden values' pictures."""


def random_alexnet():
    """Return a state dict with the names and shapes of torchvision's, but for its classifier."""
    state = {}
    for (number, kernel), before, after in zip(
        KERNELS.items(), CHANNELS[:-1], CHANNELS[1:], strict=True
    ):
        fan_in = before * kernel**2
        drawn = _normal(f"features.{number}.weight", (after, before, kernel, kernel))
        state[f"features.{number}.weight"] = _tensor(drawn * np.sqrt(2 / fan_in))
        state[f"features.{number}.bias"] = _tensor(_normal(f"features.{number}.bias", after) * 0.1)
    return state


def random_linear():
    """Return the state dict of the linear layers: positive, some of them 0."""
    return {
        f"lin{number}.model.1.weight": _tensor(
            _normal(f"lin{number}.model.1.weight", (1, width, 1, 1)).clip(0)
        )
        for number, width in enumerate(CHANNELS[1:])
    }


def pairs(size, count=2):
    """Return pairs of pictures, uint8, N x 2 x H x W x 3: noise, and the same with more noise."""
    generator = np.random.Generator(np.random.PCG64(size[0] * 1000 + size[1]))
    first = generator.integers(0, 256, (count, *size, 3))
    change = generator.integers(-60, 61, first.shape)
    return np.stack([(first + change).clip(0, 255), first], axis=1).astype(np.uint8)


def write_weights(folder, alexnet=None, linear=None):
    """Write both files under their published names and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    unused = {"classifier.6.bias": torch.zeros(3)}  # as published, the classifier is in it
    torch.save((alexnet or random_alexnet()) | unused, folder / ALEXNET)
    torch.save(linear or random_linear(), folder / LINEAR)
    return folder


def _normal(name, shape):
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(shape)


def _tensor(drawn):
    return torch.from_numpy(np.asarray(drawn, dtype=np.float32))
