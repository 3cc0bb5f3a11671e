"""Training that begins with the weights of a model folder instead of with noise."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.params import NOISE
from superres.core.state_dicts import tensor_faults
from superres.model.folder import ModelSpec, read_spec, read_weights
from superres.model.resolver import SuperResolver
from superres.networks.config import IDENTITY_BLOCKS
from superres.networks.protocol import Network

PREDICTED = (
    *("prediction", "preconditioning", "variance", "target", "residual_base", "residual_scale"),
    *("schedule", "timesteps", "rescale_timesteps"),
)
"""Keys of `diffusion` that say what a network's input and output mean."""


def starting_weights(
    spec: ModelSpec,
    network: Network,
    folder: str | Path,
    new_entropies: bool,
    without_entropies: bool = False,
) -> dict[str, Tensor]:
    """Return the weights that a training begins with.

    Args:
        spec: of the model that is trained.
        network: its network, new: its weights say what shapes are wanted, and are kept where the
            model to begin from has none, as in blocks that it lacks (`IDENTITY_BLOCKS`), which
            change nothing at first.
        folder: the model folder to begin from.
        new_entropies: whether corruptions that its model does not know get inputs, whose weights
            are zero: at first they change nothing.
        without_entropies: whether corruptions that its model knows and this one does not are
            taken as absent.

    Raises:
        SuperresError: no model folder, or one of another scale, network, diffusion or corruptions;
            the message says what differs.
    """
    start = read_spec(folder)
    if differences := _differences(spec, start, new_entropies, without_entropies):
        raise SuperresError(
            f"train.start_from: {folder} does not fit params.yaml: {'; '.join(differences)}; "
            f"{NOISE} begins with noise"
        )
    assert isinstance(network, torch.nn.Module)
    own = network.state_dict()
    known = _weights_of(start)
    weights = read_weights(folder) | {name: own[name] for name in own if name not in known}
    kept = [name for name in start.entropies if name in spec.entropies]
    gone = [place for place, name in enumerate(start.entropies) if name not in kept]
    if gone:
        weights = network.without_entropies(weights, gone)
    where = [kept.index(name) if name in kept else -1 for name in spec.entropies]
    for name, (first, width) in network.entropy_inputs().items():
        weights[name] = _reordered(weights[name], first, width, where)
    if faults := tensor_faults(weights, own):
        raise SuperresError(f"train.start_from: {folder}: {'; '.join(faults)}")
    return weights


def _differences(
    spec: ModelSpec, start: ModelSpec, new_entropies: bool, without_entropies: bool
) -> list[str]:
    """Return a line for each thing that keeps a model's weights from being begun with."""
    pairs: dict[str, tuple[object, object]] = {"degrade.scale": (start.scale, spec.scale)}
    pairs["classes"] = (start.classes, spec.classes)
    pairs |= _compared("model", start.model.model_dump(), spec.model.model_dump())
    theirs, ours = start.diffusion.model_dump(), spec.diffusion.model_dump()
    pairs |= {f"diffusion.{key}": (theirs[key], ours[key]) for key in PREDICTED}
    found = [
        f"{key} is {there!r} there, {here!r} here"
        for key, (there, here) in pairs.items()
        if there != here and not _deeper(key, there, here)
    ]
    lost = [name for name in start.entropies if name not in spec.entropies]
    if lost and not without_entropies:
        found.append(
            f"its corruptions {', '.join(lost)} are not in degrade.corruptions "
            "(train.without_entropies: true takes them as absent)"
        )
    unknown = [name for name in spec.entropies if name not in start.entropies]
    if unknown and not new_entropies:
        found.append(
            f"it does not know the corruptions {', '.join(unknown)} (train.new_entropies: true "
            "gives them inputs of their own)"
        )
    return found


def _deeper(key: str, there: object, here: object) -> bool:
    """Return whether all that differs are blocks that a new network begins with as identity."""
    if key.removeprefix("model.") not in IDENTITY_BLOCKS:
        return False
    if not (isinstance(there, list) and isinstance(here, list)):  # another network
        return False
    return all(few <= many for few, many in zip(there, here, strict=True))


def _weights_of(spec: ModelSpec) -> Collection[str]:
    """Return the names of a model's weights."""
    with torch.device("meta"):
        network = SuperResolver(spec).unwrapped
    assert isinstance(network, torch.nn.Module)
    return network.state_dict().keys()


def _compared(
    section: str, theirs: Mapping[str, object], ours: Mapping[str, object]
) -> dict[str, tuple[object, object]]:
    keys = [*theirs, *(key for key in ours if key not in theirs)]
    return {
        f"{section}.{key}": (theirs.get(key), ours.get(key)) for key in keys if key != "dropout"
    }


def _reordered(weight: Tensor, first: int, width: int, where: list[int]) -> Tensor:
    """Return a weight whose columns for entropies are in another order, new ones zero.

    Args:
        weight: (outputs, inputs, ...); the columns from `first` on belong to entropies.
        first: the first of them.
        width: columns of each entropy.
        where: for each entropy wanted, its place among those that the weight has; -1 for none.
    """
    kept, columns = weight[:, :first], weight[:, first:]
    parts = [
        columns[:, place * width : (place + 1) * width]
        if place >= 0
        else columns.new_zeros(len(weight), width, *weight.shape[2:])
        for place in where
    ]
    return torch.cat([kept, *parts], dim=1).contiguous()
