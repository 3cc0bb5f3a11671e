"""What the page's controls say, the command line that says the same, and what the page accepts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superres.model.found import find_model
from superres.model.spec import is_student

ESTIMATE, FEW, MANY = "estimate", "few steps", "many steps"
DETAILS: dict[str, dict[str, Any]] = {
    ESTIMATE: {"estimate": True},
    FEW: {"sampler": "dpmpp_2m", "steps": 15, "spacing": "trailing"},
    MANY: {"estimate": False, "steps": 50},
}
"""From fidelity to texture, and the options of `superres restore` for each; nothing is the model's
own way of sampling."""


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Somebody stopped the work, or closed the tab that it was for."""


@dataclass(frozen=True)
class Limits:
    """What is accepted.

    Args:
        megapixels: of an uploaded picture.
        megabytes: of its file.
    """

    megapixels: float = 16.0
    megabytes: float = 50.0


@dataclass(frozen=True)
class Settings:
    """What the page's controls say.

    Args:
        model: a folder.
        entropies: of the model's corruptions; one that is missing is 0.
        detail: a key of `DETAILS`.
        seed: of the noise.
        samples: how many are made to choose from.
    """

    model: str
    entropies: Mapping[str, float]
    detail: str = ESTIMATE
    seed: int = 0
    samples: int = 1


def command(
    settings: Settings, name: str, suffix: str = ".png", options: Sequence[str] = ()
) -> str:
    """Return the command line that restores a file of a name as the page does.

    Args:
        settings: the page's.
        name: of the file, as the person knows it.
        suffix: of the format that is wanted.
        options: flags that the page was started with and that the command needs too.
    """
    outside = "./" if name.startswith("-") else ""  # else it would be taken for a flag
    words = ["superres", "restore", outside + name, outside + restored_name(name, suffix)]
    if Path(settings.model) != find_model().folder:
        words += ["--model", settings.model]
    for corruption, value in settings.entropies.items():
        if value:
            words += [f"--{corruption.replace('_', '-')}", f"{value:g}"]
    for option, value in sampling_options(settings).items():
        if option == "estimate":
            words.append("--estimate" if value else "--sample")
        else:
            words += [f"--{option}", str(value)]
    if settings.detail != ESTIMATE and settings.samples > 1:
        words += ["--samples", str(settings.samples)]
    if settings.seed:
        words += ["--seed", str(settings.seed)]
    return shlex.join([*words, *options])


def sampling_options(settings: Settings) -> Mapping[str, Any]:
    """Return the options of `superres restore` for sampling; a student has one way, its own."""
    if settings.detail != ESTIMATE and is_student(settings.model):
        return {"estimate": False}
    return DETAILS[settings.detail]


def restored_name(name: str, suffix: str) -> str:
    """Return what a restored file is called."""
    return f"{Path(name).stem}-restored{suffix}"


def numbered(name: str, sample: int, samples: int) -> str:
    """Return the name that `superres restore --samples` gives to one of several."""
    path = Path(name)
    return name if samples == 1 else f"{path.stem}-{sample + 1}{path.suffix}"
