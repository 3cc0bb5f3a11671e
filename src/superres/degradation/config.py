"""The `degrade` section: how a low-resolution input is made of a high-resolution tile."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from superres.core.params import Section

CorruptionKind = Literal[
    "gaussian_blur",
    "jpeg",
    "jpeg-low",
    "jpeg-medium",
    "jpeg-broad",
    "jpeg-normal",
    "webp",
    "noise",
    "noise-5",
    "gaussian_noise-5",
    "gaussian_noise",
    "grey_noise",
    "poisson_noise",
    "motion_blur",
    "anisotropic_blur",
    "generalized_blur",
    "sinc",
    "lq_resampling",
    "lq_resampling2x",
    "lq_resampling4x",
    "random_resize",
    "color_quantization",
    "posterization",
    "color_jitter",
    "color_shift",
    "saturation",
    "color_saturation",
    "greyscale",
    "desaturation",
]
DownsamplingName = Literal["area", "bicubic", "lanczos", "nearest"]
Unit = Annotated[float, Field(ge=0, le=1)]


class CorruptionParams(Section):
    """One corruption of the chain."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    """What its entropy is called in the manifest, the model and the command line."""
    kind: CorruptionKind
    """What it does (docs/corruptions.md). One kind may stand there under several names."""
    distribution: Literal["cosine", "uniform", "fixed"]
    """Entropy draw: `uniform`, the recipe's `cosine`, biased towards `low`, or always `high`."""
    low: Unit
    high: Unit
    """Range of the entropy drawn, within [0, 1]."""
    always: bool
    """Whether it is for every input, or only for those whose `random` ones it is among."""
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the inputs it is for that get it; to the others, whose entropy is 0, nothing is
    done, where entropy 0 of JPEG, say, is a file of good quality."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low must not be above high ({self.low} > {self.high})")
        return self


class DegradeParams(Section):
    """Read by the `degrade` stage."""

    scale: Literal[1, 2, 3, 4, 8]
    """Edge of a tile over the edge of its low-resolution input."""
    downsampling: DownsamplingName
    """How the tile is made smaller: `area`, the recipe's mean of blocks; `bicubic` and `lanczos` as
    MATLAB's `imresize` does it, which papers measure with; `nearest`."""
    variants: Annotated[int, Field(ge=1, le=64)]
    """Differently corrupted inputs per training tile; val and test have one."""
    blur_scale: Annotated[float, Field(gt=0, le=16)]
    """Factor on every blur: at 1, entropy 1 of `gaussian_blur` is 1.5 pixels of the low-resolution
    tile."""
    corruptions: Annotated[list[CorruptionParams], Field(min_length=0, max_length=16)]
    """Applied in this order, which is also the order of the model's entropy planes."""
    random: Annotated[int, Field(ge=0, le=16)]
    """How many of the corruptions that are not `always` applied each input gets, drawn anew."""
    seed: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [corruption.name for corruption in self.corruptions]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"corruptions: the name '{twice[0]}' stands twice")
        spare = sum(not corruption.always for corruption in self.corruptions)
        if self.random > spare or (spare and not self.random):
            raise ValueError(
                f"random: {self.random} of {spare} corruptions with always: false cannot be drawn"
            )
        return self
