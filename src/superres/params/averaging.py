"""The part of `train` that says which averages of the weights are kept."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from superres.params.section import Section

Width = Annotated[float, Field(ge=0.01, le=0.28)]
"""Standard deviation of an averaging profile over the length of the training."""


class AveragingParams(Section):
    """Averages of the weights kept while training."""

    ema: Annotated[float, Field(ge=0, lt=1)]
    """Decay of the exponential moving average, min(ema, (1 + step) / (10 + step))."""
    power: list[Width]
    """Relative widths of averages by a power function, of which `select` can make averages of any
    width after training: none, or two or more. Each takes as much memory as the weights."""

    @model_validator(mode="after")
    def _enough_widths(self) -> Self:
        if len(self.power) == 1 or len(set(self.power)) < len(self.power):
            raise ValueError(
                f"power must be empty or hold at least two different widths, got {self.power}"
            )
        return self
