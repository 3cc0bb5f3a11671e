"""A trained model on disk.

A model folder holds `weights.safetensors` and `model.json`: the network's and the diffusion's
configuration, the scale, the entropies' names in order, how inputs were degraded, and where the
model came from. Nothing else is needed to use it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.precision import Computing
from superres.core.state_dicts import tensor_faults
from superres.core.storage import replacing_folder, write_json
from superres.model.resolver import SuperResolver
from superres.model.spec import DESCRIPTION, FORMAT, ModelSpec, read_spec

WEIGHTS = "weights.safetensors"


def save_model(folder: str | Path, spec: ModelSpec, weights: dict[str, Tensor]) -> None:
    """Write a model folder, all or nothing."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with replacing_folder(folder) as partial:
        save_file(tensors, partial / WEIGHTS)
        write_json(partial / DESCRIPTION, FORMAT.written(spec.model_dump()))


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """Return a model folder's tensors by name, on the CPU, in fp32.

    Raises:
        SuperresError: no such file, or a damaged one.
    """
    path = Path(folder) / WEIGHTS
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise SuperresError(f"{path}: not readable: {error}") from error
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def load_model(
    folder: str | Path, device: torch.device | None = None, how: Computing | None = None
) -> SuperResolver:
    """Return the model of a folder, ready to evaluate: on a device, in a precision.

    Raises:
        SuperresError: a missing, damaged or foreign file; tensors that do not fit, by name.
    """
    resolver = SuperResolver(read_spec(folder))
    weights = read_weights(folder)
    if faults := tensor_faults(weights, resolver.network.state_dict()):
        path = Path(folder) / WEIGHTS
        raise SuperresError(f"{path}: does not fit its {DESCRIPTION}: {'; '.join(faults)}")
    resolver.network.load_state_dict(weights)
    resolver.network.eval().requires_grad_(False)
    return resolver.to(device or torch.device("cpu")).compute(how or Computing())
