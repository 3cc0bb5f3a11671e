"""Random weights of the Inception network by the golden values' recipe: 95 MB less to keep."""

import json
import zlib

import numpy as np
import torch

from support import GOLDEN


def shapes():
    """Return the seed and the shape of every tensor, by name, as the reference has them."""
    known = json.loads((GOLDEN / "inception_shapes.json").read_text())
    return known["seed"], {name: tuple(shape) for name, shape in known["keys"]}


def random_weights():
    """Return the state dict that the golden features were computed with."""
    seed, known = shapes()
    return {name: _tensor(name, shape, seed) for name, shape in known.items()}


def _tensor(name, shape, seed):
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()) ^ seed))
    drawn = generator.standard_normal(shape)
    if name.endswith(".conv.weight"):
        drawn *= np.sqrt(2 / np.prod(shape[1:]))
    elif name == "fc.weight":
        drawn *= np.sqrt(1 / 2048)
    elif name.endswith(".bn.weight"):
        drawn = 1 + 0.1 * drawn
    elif name.endswith(".running_var"):
        drawn = 0.5 * np.abs(drawn) + 0.5
    else:
        drawn *= 0.1
    return torch.from_numpy(drawn.astype(np.float32))
