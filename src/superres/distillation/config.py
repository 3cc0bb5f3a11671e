"""The `distill` section: a student of few evaluations, trained from the selected model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from superres.core.params import Precision, Section, Unit


class DistillParams(Section):
    """Read by the `distill` stage alone."""

    steps: Literal[0, 1, 2, 4]
    """Evaluations of the network with which the student samples; 0 trains none, and everything
    else is as if there were no such stage."""
    training_steps: Annotated[int, Field(ge=1, le=100_000_000)]
    batch: Annotated[int, Field(ge=1, le=65536)]
    """Tiles per training step."""
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """At its highest; a twentieth of the steps warm up, the others decay as a cosine to nothing."""
    teacher: Unit
    """Weight of the squared difference from what the selected model makes of the same noise; the
    rest of 1 is that of the energy score against the originals, which keeps grain alive."""
    teacher_steps: Annotated[int, Field(ge=1, le=4000)]
    """Steps of `dpmpp_2m` with which the selected model makes that; not used at a weight of 0."""
    ema: Annotated[float, Field(ge=0, lt=1)]
    """Decay of the average of the weights that becomes the student."""
    precision: Precision
    """Of the networks' arithmetic while training."""
    seed: Annotated[int, Field(ge=0)]
