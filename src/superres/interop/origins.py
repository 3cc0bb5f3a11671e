"""What the origin of weights suggests where their tensors show nothing.

Every choice is noted, so that it can be printed, kept with the model and changed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from superres.core.errors import SuperresError
from superres.core.params import parse_section
from superres.degradation.chain import Degradation, Step
from superres.degradation.config import DegradeParams
from superres.diffusion.config import DiffusionParams
from superres.interop.architecture import Architecture


class _Origin(NamedTuple):
    scale: int
    timesteps: int


ORIGINS = {"dl-art-school": _Origin(2, 4000), "guided-diffusion": _Origin(4, 1000)}
RECIPE_CORRUPTIONS = ["jpeg=jpeg-broad", "blur=gaussian_blur"]
"""The two of DL-Art-School's recipe, in the order of its planes; see presets/recipe-256.yaml."""
OPENAI_HEAD_CHANNELS = {(8, 16, 32): None, (16, 32): 64}
"""Channels per head of OpenAI's two upsamplers, 64 to 256 px (4 heads) and 128 to 512 px, by
where they have attention."""


@dataclass
class Choices:
    """What is chosen for what tensors do not show, by name."""

    given: dict[str, Any]
    assumed: dict[str, Any] = field(default_factory=dict)

    def settle(self, name: str, default: Any, matters: bool = True) -> Any:
        """Return what was given, or else the default, noted where it matters."""
        if name in self.given:
            return self.given[name]
        if matters:
            self.assumed[name] = default
        return default


def origin_of(architecture: Architecture) -> str:
    """Return the likelier codebase: one has classes, the other entropy planes."""
    classes, entropies = architecture.classes, architecture.entropies
    return "dl-art-school" if classes is None and entropies else "guided-diffusion"


def hidden_options(architecture: Architecture, origin: str, choices: Choices) -> dict[str, Any]:
    """Return the arguments that `load_guided_diffusion` asks for."""
    attends = bool(architecture.attention) or architecture.middle_attention
    per_head = None
    if "heads" not in choices.given and _like_openai(architecture):
        per_head = OPENAI_HEAD_CHANNELS[architecture.attention]
    head_channels = choices.settle("head_channels", per_head, matters=per_head is not None)
    fits = all(width % 32 == 0 for width in architecture.norm_widths)
    groupnorm = "fixed_32" if fits and origin == "guided-diffusion" else "by_width"
    return {
        "heads": choices.settle("heads", 4, attends and head_channels is None),
        "head_channels": head_channels,
        "heads_upsample": choices.settle("heads_upsample", None, matters=False),
        "attention_order": choices.settle("attention_order", "heads_first", attends),
        "groupnorm": choices.settle("groupnorm", groupnorm, architecture.groupnorm_matters),
    }


def degradation_of(planes: int, origin: str, choices: Choices, source: str) -> Degradation:
    """Return how the inputs of a network with these entropy planes were made.

    `corruption`, where it is given, is a list of `name=kind`.

    Raises:
        SuperresError: corruptions that do not fit the planes, or values that no `degrade` section
            may hold; the message begins with `source`.
    """
    recipe = RECIPE_CORRUPTIONS if planes == 2 and origin == "dl-art-school" else []
    rows = [row.split("=", 1) for row in choices.settle("corruption", recipe, bool(planes))]
    if len(rows) != planes:
        raise SuperresError(
            f"{source}: the network has {planes} entropy planes, and --corruption names "
            f"{len(rows)}; name each in their order, as in --corruption jpeg=jpeg-broad"
        )
    blurs = any(kind.endswith("blur") for _, kind in rows)
    values = {
        "scale": choices.settle("scale", ORIGINS[origin].scale),
        "downsampling": choices.settle("downsampling", "area", matters=False),
        "blur_scale": choices.settle("blur_scale", 1.0, matters=blurs),
        "corruptions": [asdict(Step(name, kind, distribution="cosine")) for name, kind in rows],
    }
    # As strictly as if it were to be carried out: pairs made with these params suit the model.
    drawing = {"variants": 1, "random": 0, "seed": 0}
    params = parse_section("degrade", DegradeParams, {**values, **drawing}, source)
    return Degradation.of(params)


def diffusion_of(out_channels: int, origin: str, choices: Choices, source: str) -> DiffusionParams:
    """Return the diffusion of a network with this many output channels.

    Raises:
        SuperresError: a variance that does not fit them, or values that no `diffusion` section
            may hold; the message begins with `source`.
    """
    learned = out_channels == 6
    variance = choices.settle("variance", "learned_range" if learned else "fixed_large")
    if variance.startswith("learned") != learned:
        raise SuperresError(
            f"{source}: --variance {variance} does not fit the network's {out_channels} output "
            "channels: 6 where the variance is learned, else 3"
        )
    values = {
        "timesteps": choices.settle("timesteps", ORIGINS[origin].timesteps),
        "schedule": choices.settle("schedule", "linear"),
        "prediction": choices.settle("prediction", "epsilon"),
        "preconditioning": "none",
        "variance": variance,
        "target": "picture",
        "residual_base": "bilinear",
        "residual_scale": 1.0,
        "rescale_timesteps": choices.settle("rescale_timesteps", False),
    }
    return parse_section("diffusion", DiffusionParams, values, source)


def label_of(classes: int | None, choices: Choices, source: str) -> int | None:
    """Return the class to restore pictures as, or None for the mean of all.

    Raises:
        SuperresError: a class that the network does not have.
    """
    label = choices.settle("label", None, matters=classes is not None)
    if label is not None and (classes is None or not 0 <= label < classes):
        has = "has no classes" if classes is None else f"has the classes 0 to {classes - 1}"
        raise SuperresError(f"{source}: --label {label}: the network {has}")
    return label


def _like_openai(architecture: Architecture) -> bool:
    return (
        architecture.attention in OPENAI_HEAD_CHANNELS
        and (architecture.channels, architecture.blocks) == (192, 2)
        and architecture.channel_mult == (1, 1, 2, 2, 4, 4)
        and architecture.resblock_updown
        and architecture.classes == 1000
        and not architecture.entropies
    )
