"""The `explore` section: what is tried on a few test tiles to see how the model behaves."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from superres.core.params import Section
from superres.sampling.config import SamplerName, Spacing

Unit = Annotated[float, Field(ge=0, le=1)]
Steps = Annotated[int, Field(ge=1, le=4000)]
Edge = Annotated[int, Field(ge=1, le=16)]


class CurveParams(Section):
    """One way of sampling, tried with several numbers of steps."""

    sampler: SamplerName
    spacing: Spacing
    steps: Annotated[list[Steps], Field(min_length=1)]
    """A network evaluation each; `heun` makes two, but one at the last."""

    @model_validator(mode="after")
    def _steps_differ(self) -> Self:
        twice = [count for count in self.steps if self.steps.count(count) > 1]
        if twice:
            raise ValueError(f"steps: {twice[0]} is duplicated")
        return self


class ExploreParams(Section):
    """Read by the `explore` stage."""

    renamed: ClassVar = {"strengths": "entropies"}

    tiles: Annotated[int, Field(ge=1, le=1024)]
    """Test tiles that the curves are measured on, spread evenly from sharpest to dullest."""
    entropies: Annotated[list[Unit], Field(min_length=1, max_length=9)]
    """Entropies that the model is conditioned on along both axes of the entropy grid."""
    samples: Annotated[int, Field(ge=2, le=64)]
    """Samples of one tile that the uncertainty map is made of."""
    grid_steps: Steps
    """Sampling steps of everything but the curves."""
    curves: Annotated[list[CurveParams], Field(min_length=1, max_length=16)]
    """Ways of sampling whose quality is measured against network evaluations."""
    sizes: Annotated[list[Edge], Field(min_length=1)]
    """Edges of the pictures that are restored whole, in tiles; 1 is what the model was trained
    on, which the others are compared with."""
    pictures: Annotated[int, Field(ge=1, le=64)]
    """Photographs, at most, that give a picture of the largest size."""
    batch: Annotated[int, Field(ge=1, le=4096)]
    """Tiles per network evaluation, larger pictures by their area; no influence on the result but
    rounding."""
    seed: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _nothing_is_duplicated(self) -> Self:
        ways = [f"{curve.sampler} {curve.spacing}" for curve in self.curves]
        for key, values in (("curves", ways), ("sizes", self.sizes)):
            twice = [value for value in values if list(values).count(value) > 1]
            if twice:
                raise ValueError(f"{key}: {twice[0]} is duplicated")
        if 1 not in self.sizes:
            raise ValueError(f"sizes: must have 1, the training tile, among them: {self.sizes}")
        return self
