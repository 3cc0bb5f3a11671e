"""What a degradation consists of, without the means to carry it out.

Whoever only reads pairs (selecting, sampling) needs the names of the entropies and the scale; kept
apart from the corruptions themselves, these do not change when a corruption is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from superres.core.errors import SuperresError
from superres.core.stored_formats import NEWER

if TYPE_CHECKING:
    from superres.degradation.config import DegradeParams


KEYS = {
    **{"scale": int, "downsampling": str, "blur_scale": float},
    **{"corruptions": list, "random": int, "seed": int, "kinds": int},
}
STEP_KEYS = {
    **{"name": str, "kind": str, "distribution": str},
    **{"low": float, "high": float, "always": bool, "probability": float},
}
"""What `degradation.json` holds, and for each corruption."""
ADDED: dict[str, Any] = {"downsampling": "area", "kinds": 1}
ADDED_TO_STEPS: dict[str, Any] = {"probability": 1.0}
"""Of keys that are added to those: what degradations described without them were made with. What
says just that is not written."""
KINDS = 2
"""What names of kinds mean; written where a chain has one that meant another thing in 1."""
MEANT_IN_1 = {
    **{"noise-5": "gaussian_noise-5", "lq_resampling": "lq_resampling2x"},
    **{"color_quantization": "posterization", "color_jitter": "color_shift"},
    **{"saturation": "color_saturation", "greyscale": "desaturation"},
}


@dataclass(frozen=True)
class Step:
    """One corruption of a chain, and how its entropy is drawn."""

    name: str
    """What its entropy is called."""
    kind: str
    """A key of `superres.degradation.corruptions.CORRUPTIONS`."""
    distribution: str = "uniform"
    """A key of `superres.degradation.degrade.DISTRIBUTIONS`."""
    low: float = 0.0
    high: float = 1.0
    always: bool = True
    """Whether it is for every picture; else it is one of those that `random` are drawn from."""
    probability: float = 1.0
    """Share of the pictures it is for that get it."""

    @property
    def optional(self) -> bool:
        """Whether some pictures do not get it, which entropy 0 then says."""
        return not self.always or self.probability < 1


@dataclass(frozen=True)
class Degradation:
    """From a tile to its low-resolution input, given an entropy for each corruption.

    `superres.degradation.degrade.degrade` carries it out.
    """

    scale: int
    blur_scale: float
    corruptions: tuple[Step, ...]
    """In the order that they are applied in."""
    random: int = 0
    """How many of the corruptions that are not for every picture each picture gets."""
    seed: int = 0
    """Of everything that is drawn."""
    downsampling: str = "area"
    """A key of `superres.degradation.downsampling.DOWNSAMPLINGS`."""

    @classmethod
    def of(cls, params: DegradeParams) -> Degradation:
        """Return the degradation that params describe."""
        steps = tuple(Step(**corruption.model_dump()) for corruption in params.corruptions)
        return cls(
            params.scale,
            params.blur_scale,
            steps,
            params.random,
            params.seed,
            params.downsampling,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the corruptions: the order of every entropy vector."""
        return tuple(step.name for step in self.corruptions)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes: numbers, strings and lists only."""
        steps = [_without(asdict(step), ADDED_TO_STEPS) for step in self.corruptions]
        with_1 = any(step.kind in MEANT_IN_1 for step in self.corruptions)
        kinds = KINDS if with_1 else ADDED["kinds"]
        return _without({**asdict(self), "corruptions": steps, "kinds": kinds}, ADDED)

    @classmethod
    def from_json(cls, value: Any) -> Degradation:
        """Return the degradation that `to_json` described.

        Raises:
            SuperresError: a missing or unknown key, a wrong type, a duplicated name.
        """
        value = _checked("degradation", value, KEYS, ADDED)
        rows = [
            _checked("degradation: corruptions", row, STEP_KEYS, ADDED_TO_STEPS)
            for row in value["corruptions"]
        ]
        kinds = value.pop("kinds")
        if kinds not in (1, KINDS):
            raise SuperresError(f"degradation: kinds {kinds}: {NEWER}")
        if kinds == 1:
            rows = [{**row, "kind": MEANT_IN_1.get(row["kind"], row["kind"])} for row in rows]
        steps = tuple(Step(**row) for row in rows)
        if len({step.name for step in steps}) < len(steps):
            raise SuperresError(
                f"degradation: a name is duplicated in {[step.name for step in steps]}"
            )
        if value["scale"] < 1 or not value["blur_scale"] > 0:
            raise SuperresError("degradation: scale and blur_scale must be above 0")
        return cls(**{**value, "corruptions": steps})


DRAWN = ("distribution", "low", "high", "always", "probability")
"""How a corruption's entropies are drawn: nothing that changes what one of them stands for."""


def meaning(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what entropies stand for in a degradation: `to_json`'s keys, less how they are drawn.

    Args:
        described: what `to_json` returns.
    """
    left = {key: value for key, value in described.items() if key not in ("random", "seed")}
    steps = [dict(step) for step in described.get("corruptions", [])]
    kept = [{key: step[key] for key in step if key not in DRAWN} for step in steps]
    return {**left, "corruptions": kept}


def _without(value: dict[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: stored for key, stored in value.items() if key not in added or stored != added[key]
    }


def _checked(
    what: str, value: Any, types: Mapping[str, type], added: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a mapping with exactly these keys, those that were added later filled in."""
    wanted = f"{what}: wanted the keys {', '.join(types)}"
    if not isinstance(value, dict):
        raise SuperresError(f"{wanted}, got {value!r}")
    value = {**added, **value}
    if unknown := [str(key) for key in value if key not in types]:
        raise SuperresError(f"{wanted}; {', '.join(unknown)}: {NEWER}")
    if missing := [key for key in types if key not in value]:
        raise SuperresError(f"{wanted}; {', '.join(missing)} are missing")
    for key, kind in types.items():
        if type(value[key]) is not kind:
            raise SuperresError(f"{what}: {key} must be {kind.__name__}, got {value[key]!r}")
    return value
