"""What is stored about a model beside its weights: `model.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from superres.core.errors import SuperresError
from superres.core.params import Section, Unit
from superres.core.stored_formats import NEWER, StoredFormat
from superres.diffusion.config import DiffusionParams
from superres.networks.config import Condition, ModelParams

DESCRIPTION = "model.json"
FORMAT = StoredFormat(
    "superres-1",
    upgrades={},
    added={"model.kind": "unet", "sampling.student": False, "sampling": None},
)
"""Who adds a param to `model` or `diffusion` says in `added` what it was before there was one; who
changes what stored keys mean raises the name, and adds an upgrade from the old one."""


LARGEST = {"temperature": 1, "fidelity": 1, "coring": 255, "sharpening": 2, "ceiling": 10}
"""What may be asked at most of how pictures are restored; the least is 0."""
Coring = Annotated[float, Field(ge=0, le=LARGEST["coring"])]
"""Levels of 255."""
Sharpening = Annotated[float, Field(ge=0, le=LARGEST["sharpening"])]
Ceiling = Annotated[float, Field(ge=0, le=LARGEST["ceiling"])]
"""Over what is in the surroundings; 0 is none."""
USUAL_CEILING = 1.2
"""That of the model in the box."""


class SamplingSpec(Section):
    """How pictures are restored with a model unless asked otherwise."""

    estimate: bool = False
    """Whether by the estimate; what follows then says how samples are drawn that are asked for."""
    sampler: str
    steps: Annotated[int, Field(ge=1)]
    spacing: str
    temperature: Unit
    fidelity: Unit = 0.0
    coring: Coring = 0.0
    sharpening: Sharpening = 0.0
    ceiling: Ceiling = 0.0
    student: bool = False
    """Whether the weights were distilled for this sampler, these steps and this spacing alone."""

    @field_validator("ceiling", mode="before")
    @classmethod
    def _in_levels(cls, ceiling: Any) -> Any:
        """Take a ceiling in levels of 255, as older folders have it, for the usual one."""
        in_levels = isinstance(ceiling, (int, float)) and LARGEST["ceiling"] < ceiling <= 255
        return USUAL_CEILING if in_levels else ceiling

    def described(self) -> str:
        """Return it in words."""
        sampled = f"{self.sampler} with {self.steps} steps, temperature {self.temperature:g}"
        for name in ("fidelity", "coring", "sharpening", "ceiling"):
            if value := getattr(self, name):
                sampled += f", {name} {value:g}"
        if self.student:
            sampled = f"a student's {sampled}"
        return f"the estimate (samples: {sampled})" if self.estimate else sampled


class ModelSpec(Section):
    """Everything about a model but its weights."""

    format: Literal["superres-1"]
    model: Annotated[ModelParams, Field(discriminator="kind")]
    diffusion: DiffusionParams
    scale: Annotated[int, Field(ge=1)]
    entropies: list[str]
    """Names in the order of the network's planes."""
    degradation: dict[str, Any]
    """How the inputs it was trained on were made."""
    dropped: Annotated[list[Condition], Field(default_factory=list)]
    """Conditions that training sometimes withheld: those that guidance can turn away from."""
    provenance: dict[str, Any]
    """Step, data, parameters, scores: for people and reports, never for computing."""
    classes: Annotated[int, Field(ge=1)] | None = None
    """Classes that the network is conditioned on; weights from elsewhere have them, trained ones
    do not."""
    sampling: SamplingSpec | None = None
    """How pictures are restored with it unless asked otherwise; None: as `Sampling` has it."""
    label: Annotated[int, Field(ge=0)] | None = None
    """The class every picture is restored as; None is the mean of all."""

    @field_validator("label")
    @classmethod
    def _one_of_the_classes(cls, label: int | None, info: ValidationInfo) -> int | None:
        classes = info.data.get("classes")
        if label is not None and (classes is None or label >= classes):
            raise ValueError(f"must be below the number of classes, {classes}, got {label}")
        return label


def parse_spec(description: Any) -> ModelSpec:
    """Return what a `model.json` holds, of this format or an older one.

    Raises:
        SuperresError: naming the first key that is wrong, missing, or unknown to this version.
    """
    try:
        return ModelSpec.model_validate(FORMAT.current(description))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in fault["loc"])
        # Not ignored: an option that is not known could mean another network.
        message = NEWER if fault["type"] == "extra_forbidden" else fault["msg"]
        raise SuperresError(f"{key}: {message}") from error


def read_spec(folder: str | Path) -> ModelSpec:
    """Return a model folder's description.

    Raises:
        SuperresError: no such folder, not a model folder, or of another kind.
    """
    path = Path(folder) / DESCRIPTION
    if not path.is_file():
        raise SuperresError(f"{folder}: not a model folder (no {DESCRIPTION})")
    try:
        return parse_spec(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SuperresError(f"{path}: not JSON: {error}") from error
    except SuperresError as error:
        raise SuperresError(f"{path}: {error}") from error


def is_student(folder: str | Path) -> bool:
    """Whether a folder holds a model that was distilled for the few steps that it samples in."""
    if not (Path(folder) / DESCRIPTION).is_file():
        return False
    sampling = read_spec(folder).sampling
    return sampling is not None and sampling.student
