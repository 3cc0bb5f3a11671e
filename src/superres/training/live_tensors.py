"""Bytes of tensors, counted from the operation that makes each to its end.

The numbers are those of any device. What a device adds is not in them: its context, libraries'
scratch space, and memory that an allocator keeps or cannot use.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveTensors(TorchDispatchMode):
    """Counts the bytes of tensors that operations within make, until they are let go.

    Attributes:
        now: bytes that are held.
        peak: the most that were.
    """

    def __init__(self) -> None:
        super().__init__()
        self._views: dict[int, list[int]] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and count what it made."""
        made = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                self._see(leaf)
        return made

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._views:
            self._views[key] = [0, size]
            self.now += size
            self.peak = max(self.peak, self.now)
        self._views[key][0] += 1
        weakref.finalize(tensor, self._lose, key)

    def _lose(self, key: int) -> None:
        seen = self._views[key]
        seen[0] -= 1
        if not seen[0]:
            self.now -= seen[1]
            del self._views[key]
