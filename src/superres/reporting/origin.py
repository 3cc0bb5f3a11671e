"""Which preset a run's params come from, and where they differ from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from superres.core.errors import SuperresError
from superres.core.params import PARAMS_FILE, read_params

PRESETS = Path("presets")
_IGNORED = ("report",)
"""Sections that change the page but no figure."""
ABSENT = "–"


@dataclass(frozen=True)
class Difference:
    """A value that is not the preset's."""

    key: str
    preset: str
    here: str


@dataclass(frozen=True)
class Origin:
    """Which preset a run's params are nearest to, and where they differ from it."""

    preset: str
    differences: list[Difference]


def read_origin(params: Path = PARAMS_FILE, presets: Path = PRESETS) -> Origin:
    """Return where the params come from.

    Raises:
        SuperresError: params or presets that cannot be read.
    """
    return Origin(*nearest_preset(read_params(params), presets))


def nearest_preset(params: dict[str, Any], folder: Path = PRESETS) -> tuple[str, list[Difference]]:
    """Return the preset that has the fewest values other than the params', and those values.

    Args:
        params: a complete params file, raw.
        folder: complete params files, `*.yaml`.

    Raises:
        SuperresError: no preset in the folder, or one that cannot be read.
    """
    found = {path.name: differences(read_params(path), params) for path in folder.glob("*.yaml")}
    if not found:
        raise SuperresError(f"{folder}: holds no preset (*.yaml) to compare params.yaml with")
    # Of several alike, the default, then the first by name.
    name = min(found, key=lambda name: (len(found[name]), name != "default.yaml", name))
    return name, found[name]


def differences(preset: dict[str, Any], params: dict[str, Any]) -> list[Difference]:
    """Return the values that differ, by dotted key, in the order of the params."""
    before, here = _leaves(preset), _leaves(params)
    return [
        Difference(key, _text(before, key), _text(here, key))
        for key in [*here, *(key for key in before if key not in here)]
        if key.split(".")[0] not in _IGNORED
        and (key not in before or key not in here or before[key] != here[key])
    ]


def _leaves(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            found |= _leaves(item, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = item
    return found


def _text(leaves: dict[str, Any], key: str) -> str:
    if key not in leaves:
        return ABSENT
    text = yaml.safe_dump(
        leaves[key], default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")
