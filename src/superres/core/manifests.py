"""Columns of the manifests of `data/tiles` and `data/pairs`: what writers and readers agree on."""

from __future__ import annotations

TILE_COLUMNS = ("id", "split", "shard", "index", "source", "x", "y", "sharpness")
"""`shard` and `index` say where the pixels are; `x` and `y` where in `source` they come from,
or in the reduced copy of it that the id names (`x0.5`: half as wide and high)."""

PAIR_COLUMNS = (
    *("id", "split", "shard", "index", "tile_id", "tile_shard", "tile_index"),
    *("source", "x", "y", "sharpness", "variant"),
)
"""`shard` and `index` are the low-resolution input's, `tile_shard` and `tile_index` its tile's.

A column `entropy_{name}` follows for each corruption, in the order they were applied in."""

ADDED_COLUMNS: dict[str, str | float] = {}
"""Of columns that are added to those: what manifests without them are read with."""

DEGRADATION = "degradation.json"
"""Beside the pairs' manifest: `Degradation.to_json()`."""


def entropy_columns(names: tuple[str, ...]) -> list[str]:
    """Return the columns of the entropies of corruptions."""
    return [f"entropy_{name}" for name in names]
