"""What bounds the memory of restoring a picture."""

from __future__ import annotations

from typing import NamedTuple


class Tiling(NamedTuple):
    """What bounds memory; no influence on the result but rounding and, for the window, context."""

    window: int = 512
    """Edge of the largest square window, in pixels of the restored picture; see `Grid`."""
    batch: int = 1
    """Windows of that size per network evaluation; smaller ones are more."""

    def fitting(self, scale: int) -> Tiling:
        """Return the same with the next smaller window that a model's scale divides."""
        return self._replace(window=max(1, self.window // scale) * scale)
