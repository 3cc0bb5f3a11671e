"""Plain tensors by name: in files (`.pth`, `.pt`, `.safetensors`), and how they fit a network.

Nothing in a file is ever run: PyTorch's are read as weights only.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.storage import replacing_file

_FORBIDDEN = re.compile(r"GLOBAL ([\w.]*\w)")
"""How PyTorch names what a file would have it import."""


MAX_NAMES = 8
"""Names listed of each kind of fault; the others are counted."""


def save_tensors(
    tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write a `.safetensors` file that whoever may read the folder's other files may read.

    Its own writer, from 0.8 on, leaves files to their owner alone.

    Args:
        tensors: contiguous, on the CPU.
        path: a new file.
        metadata: kept in the file's header.
    """
    path.touch()
    mode = path.stat().st_mode
    save_file(tensors, path, metadata)
    path.chmod(mode)


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a file, on the CPU, as they are.

    Raises:
        SuperresError: no such file, not one of tensors alone, or tensors without their data.
    """
    path = Path(path)
    _check_file(path)
    try:
        if path.suffix == ".safetensors":
            value: Any = load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what comes out as an error anyway
                value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file can raise anything while it is read
        raise SuperresError(f"{path}: {_reason(error)}") from error
    if not isinstance(value, dict):
        raise SuperresError(f"{path}: holds a {type(value).__name__}, not tensors by name")
    foreign = {name: item for name, item in value.items() if not isinstance(item, Tensor)}
    if foreign:
        shown = [f"{name!r} is a {type(item).__name__}" for name, item in foreign.items()]
        more = f", and {len(shown) - 4} more" if len(shown) > 4 else ""
        raise SuperresError(
            f"{path}: holds more than tensors by name: {', '.join(shown[:4])}{more}; "
            "wanted is the network's state dict alone"
        )
    if not value:
        raise SuperresError(f"{path}: holds no tensors")
    for name, tensor in value.items():
        _check_stored(path, name, tensor)
    return value


def write_state_dict(path: str | Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors with `torch.save`, all or nothing.

    Raises:
        SuperresError: no room on the disk.
    """
    with replacing_file(path) as file:
        torch.save(tensors, file)


def tensor_faults(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Return a line each for tensors that are missing, surplus or misshapen; none where all fit."""
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    faults = {
        "missing": [name for name in wanted if name not in tensors],
        "surplus": [name for name in tensors if name not in wanted],
        "misshapen": misshapen,
    }
    return [f"{kind}: {listed(names)}" for kind, names in faults.items() if names]


def listed(names: Iterable[str]) -> str:
    """Return names with commas; beyond `MAX_NAMES` they are counted."""
    names = list(names)
    rest = [f"and {len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []
    return ", ".join([*names[:MAX_NAMES], *rest])


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise SuperresError(f"{path}: is a folder; wanted is a file of weights (.pth, .pt, ...)")
    if not path.is_file():
        raise SuperresError(f"{path}: no such file")
    if not path.stat().st_size:
        raise SuperresError(f"{path}: is empty")


def _check_stored(path: Path, name: str, tensor: Tensor) -> None:
    """Refuse tensors that claim more numbers than the file holds: they would fill the memory."""
    if tensor.is_meta or tensor.layout != torch.strided:
        raise SuperresError(f"{path}: {name} is no dense tensor with its numbers")
    if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        raise SuperresError(f"{path}: {name} claims {tuple(tensor.shape)}, but holds less")


def _reason(error: Exception) -> str:
    """Return one line for what a reader raised, without PyTorch's advice to trust the file."""
    text = str(error)
    if found := _FORBIDDEN.search(text):
        return f"would have {found.group(1)} imported, which is refused; wanted are tensors alone"
    precise = isinstance(error, RuntimeError | SafetensorError) and "weights_only" not in text
    detail = (
        f" ({text.strip().splitlines()[0].partition('. ')[0][:160]})" if precise and text else ""
    )
    return f"is no file of tensors by name, or damaged{detail}"
