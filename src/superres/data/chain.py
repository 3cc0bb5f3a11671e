"""What a degradation consists of, without the means to carry it out.

Whoever only reads pairs (training, sampling) needs the names of the entropies and the scale; kept
apart from the corruptions themselves, these do not change when a corruption is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from superres.errors import SuperresError


@dataclass(frozen=True)
class Degradation:
    """From a tile to its low-resolution input, given a strength for each corruption.

    `superres.data.degradation.degrade` carries it out.
    """

    scale: int
    blur_scale: float
    corruptions: tuple[tuple[str, str], ...]
    """(name, kind) in the order they are applied in; kinds are keys of
    `superres.data.degradation.CORRUPTIONS`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the corruptions: the order of every entropy vector."""
        return tuple(name for name, _ in self.corruptions)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes: numbers, strings and lists only."""
        corruptions = [{"name": name, "kind": kind} for name, kind in self.corruptions]
        return {
            "scale": self.scale,
            "blur_scale": self.blur_scale,
            "corruptions": corruptions,
        }

    @classmethod
    def from_json(cls, value: Any) -> Degradation:
        """Return the degradation that `to_json` described.

        Raises:
            SuperresError: a missing or unknown key, a wrong type, a name twice.
        """
        _check_keys("degradation", value, {"scale": int, "blur_scale": float, "corruptions": list})
        for row in value["corruptions"]:
            _check_keys("degradation: corruptions", row, {"name": str, "kind": str})
        pairs = tuple((row["name"], row["kind"]) for row in value["corruptions"])
        if len({name for name, _ in pairs}) < len(pairs):
            raise SuperresError(
                f"degradation: a name stands twice in {[name for name, _ in pairs]}"
            )
        if value["scale"] < 1 or not value["blur_scale"] > 0:
            raise SuperresError("degradation: scale and blur_scale must be above 0")
        return cls(value["scale"], value["blur_scale"], pairs)


def _check_keys(what: str, value: Any, types: dict[str, type]) -> None:
    if not isinstance(value, dict) or set(value) != set(types):
        raise SuperresError(f"{what}: wanted the keys {', '.join(types)}, got {value!r}")
    for key, kind in types.items():
        if type(value[key]) is not kind:
            raise SuperresError(f"{what}: {key} must be {kind.__name__}, got {value[key]!r}")
