"""A trained model on disk.

A model folder holds `weights.safetensors` and `model.json`: the network's and the diffusion's
configuration, the scale, the entropies' names in order, how inputs were degraded, and where the
model came from. Nothing else is needed to use it. A folder may hold `student.safetensors` too: the
weights in which its student of few evaluations differs, and how that samples.
"""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.precision import Computing
from superres.core.state_dicts import save_tensors, tensor_faults
from superres.core.storage import replacing_file, replacing_folder, write_json
from superres.model.resolver import SuperResolver
from superres.model.spec import DESCRIPTION, FORMAT, ModelSpec, SamplingSpec, read_spec

WEIGHTS = "weights.safetensors"
STUDENT = "student.safetensors"
SAMPLING = "sampling"
"""Key of that file's metadata: a `SamplingSpec` as JSON."""


def save_model(folder: str | Path, spec: ModelSpec, weights: dict[str, Tensor]) -> None:
    """Write a model folder, all or nothing."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with replacing_folder(folder) as partial:
        save_tensors(tensors, partial / WEIGHTS)
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
    return _in_fp32(tensors)


def is_model(folder: str | Path) -> bool:
    """Whether a folder is a model folder, by its description."""
    return (Path(folder) / DESCRIPTION).is_file()


def save_student(folder: str | Path, sampling: SamplingSpec, weights: dict[str, Tensor]) -> None:
    """Put a student beside the model that it was distilled from, in that model's folder.

    Args:
        folder: the model's.
        sampling: how the student samples.
        weights: those in which it differs from the model.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with replacing_file(Path(folder) / STUDENT) as file:
        file.write(save(tensors, metadata={SAMPLING: sampling.model_dump_json()}))


def read_student(folder: str | Path) -> tuple[SamplingSpec, dict[str, Tensor]]:
    """Return how the student in a model's folder samples, and its weights, in fp32.

    Raises:
        SuperresError: there is none, or a damaged one.
    """
    path = Path(folder) / STUDENT
    if not path.is_file():
        raise SuperresError(
            f"{folder}: has no student to restore fast with (no {STUDENT}); a run with "
            "distill.steps above 0 leaves one as a model of its own, models/student"
        )
    try:
        with safe_open(path, "pt") as file:
            sampling = SamplingSpec.model_validate_json((file.metadata() or {})[SAMPLING])
        return sampling, _in_fp32(load_file(path))
    except (OSError, SafetensorError, KeyError, ValidationError) as error:
        raise SuperresError(f"{path}: not readable as a student: {error}") from error


def _in_fp32(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def load_model(
    folder: str | Path,
    device: torch.device | None = None,
    how: Computing | None = None,
    fast: bool = False,
) -> SuperResolver:
    """Return the model of a folder, ready to evaluate: on a device, in a precision.

    Args:
        folder: the model's.
        device: by default the CPU.
        how: by default fp32.
        fast: the student in the folder instead.

    Raises:
        SuperresError: a missing, damaged or foreign file; tensors that do not fit, by name.
    """
    spec, weights, files = read_spec(folder), read_weights(folder), WEIGHTS
    if fast:
        sampling, changed = read_student(folder)
        spec = spec.model_copy(update={"sampling": sampling})
        weights, files = weights | changed, f"{WEIGHTS} with {STUDENT}"
    resolver = SuperResolver(spec)
    if faults := tensor_faults(weights, resolver.network.state_dict()):
        path = Path(folder) / files
        raise SuperresError(f"{path}: does not fit its {DESCRIPTION}: {'; '.join(faults)}")
    resolver.network.load_state_dict(weights)
    resolver.network.eval().requires_grad_(False)
    return resolver.to(device or torch.device("cpu")).compute(how or Computing())
