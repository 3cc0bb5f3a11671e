"""The `entropy` section: the estimator of corruption entropies."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from superres.core.params import NOISE, Section, Unit


class EntropyParams(Section):
    """Read by the `entropy` stage alone; no other stage waits for it."""

    start_from: Annotated[str, Field(min_length=1)]
    """`models/noise`, or the estimator's folder whose weights training begins with."""
    channels: Annotated[int, Field(ge=8, le=512)]
    """Width of the network."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    evenly: list[str]
    """Corruptions, by name, of which inputs are drawn so that strong and mild ones come equally
    often, whatever `degrade` draws: a picture to restore need not be like those that a model is
    trained on."""
    fresh_corruptions: Unit
    """Share of inputs that are not read from `data/pairs` but corrupted anew, by the same
    degradation but for `evenly`: a tile then comes with many entropies, and what tells them
    apart is not the tile."""
    detail: Annotated[float, Field(ge=0, le=4)]
    """Power of a tile's sharpness by which it is drawn: 0 draws all alike. A smooth picture shows
    little of its blur, and hardly changes with what it is told."""
    steps: Annotated[int, Field(ge=0, le=1_000_000)]
    """0 keeps the weights of `start_from` as they are."""
    batch: Annotated[int, Field(ge=1, le=65536)]
    """Inputs per step."""
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """At its peak; it rises over a twentieth of the steps and falls along a cosine."""
    weight_decay: Annotated[float, Field(ge=0, le=10)]
    shifted: Annotated[float, Field(ge=0, le=1)]
    """Share of the steps on inputs cut off their JPEG grid, as cropped pictures are."""
    caution: Annotated[float, Field(ge=1, le=100)]
    """How many times as much telling of too much counts as telling of too little, when an entropy
    is chosen from what a picture leaves open. It changes nothing that is learned."""
    seed: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _something_is_learned(self) -> Self:
        if self.steps == 0 and self.start_from == NOISE:
            raise ValueError(f"steps must be at least 1 where start_from is {NOISE}, got 0")
        return self
