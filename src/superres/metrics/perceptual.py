"""Distances of pictures by a network that compares two of them, such as LPIPS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from superres.core.errors import SuperresError
from superres.core.state_dicts import read_state_dict, tensor_faults

UNUSED = "classifier."
"""The last layers of torchvision's networks, in the same file."""
Trained = TypeVar("Trained", bound=nn.Module)


class Network(Protocol):
    """A network of two batches of pictures (uint8, N x 3 x H x W) to their distances: N."""

    batch_px: int
    """Pixels of the restored pictures at a time."""

    def __call__(self, restored: Tensor, original: Tensor) -> Tensor:
        """Return the distances."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the weights."""


class Distances:
    """Distances of restored pictures, which pass one by one, to their originals.

    Those of one size that follow each other are computed together, in full float32 even on GPUs
    that round the inputs of convolutions to 10 bits if they are let to.

    Args:
        network: on the device that computes.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._found: list[float] = []

    def add(self, restored: np.ndarray, original: np.ndarray) -> None:
        """Take in a picture and its original: uint8, H x W x 3, edges that the network allows.

        Raises:
            ValueError: two shapes that differ.
        """
        if restored.shape != original.shape:
            raise ValueError(f"shapes differ: {restored.shape} and {original.shape}")
        if self._waiting and self._waiting[0][0].shape != restored.shape:
            self._compute()
        self._waiting.append((restored, original))
        if len(self._waiting) >= self._network.batch_px // (restored.shape[0] * restored.shape[1]):
            self._compute()

    def finish(self) -> list[float]:
        """Return the distances of all pictures that have passed, in order."""
        self._compute()
        return self._found

    def _compute(self) -> None:
        if not self._waiting:
            return
        first, second = map(self._stacked, zip(*self._waiting, strict=True))
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            self._found += self._network(first, second).tolist()
        self._waiting = []

    def _stacked(self, pictures: tuple[np.ndarray, ...]) -> Tensor:
        device = next(self._network.parameters()).device
        return torch.from_numpy(np.stack(pictures)).to(device).permute(0, 3, 1, 2)


def distances(network: Network, pictures: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Return the distance of each restored picture to its original, in order; see `Distances`."""
    passing = Distances(network)
    for restored, original in pictures:
        passing.add(restored, original)
    return passing.finish()


def load_parts(
    network: Trained, parts: Sequence[tuple[Path, str, Callable[[str], bool]]]
) -> Trained:
    """Return a network with the weights of several files, ready to evaluate.

    Args:
        network: built on the device `meta`, so that no random weights are thrown away.
        parts: of each file its path, whose weights it has, and which of the network's tensors, by
            name. Layers of a classifier in it (`classifier.*`, as torchvision has them) are unused.

    Raises:
        SuperresError: not such files, or tensors missing, surplus or of other shapes; named.
    """
    wanted = network.state_dict()
    state: dict[str, Tensor] = {}
    for path, what, is_there in parts:
        read = read_state_dict(path)
        read = {name: tensor for name, tensor in read.items() if not name.startswith(UNUSED)}
        here = {name: tensor for name, tensor in wanted.items() if is_there(name)}
        if faults := tensor_faults(read, here):
            raise SuperresError(f"{path}: not the weights of {what}: {'; '.join(faults)}")
        state |= {name: tensor.to(torch.float32) for name, tensor in read.items()}
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()
