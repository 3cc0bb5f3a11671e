"""The `select` section: how checkpoints and averages are compared on the val pairs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from superres.core.params import Unit
from superres.sampling.config import FinishParams, SamplerName, Spacing
from superres.training.config import Width


class RestoringParams(FinishParams):
    """What `superres restore` does with the chosen model unless asked otherwise."""

    estimate: bool
    """The mean picture, in one evaluation; the others say how samples are drawn where they are
    asked for."""
    sampler: SamplerName
    steps: Annotated[int, Field(ge=1, le=4000)]
    spacing: Spacing
    temperature: Unit


class SelectParams(FinishParams):
    """Read by the `select` stage."""

    metric: Literal["appearance", "psnr_estimate", "psnr_sample", "swd", "fid", "val_loss"]
    """`appearance`: of what will be delivered, see `superres.selection.scoring.appearance`;
    `psnr_estimate`: of the one-evaluation estimate; `psnr_sample`: of one sample (higher is
    better); `swd`, `fid`: of one sample; `val_loss`: what training minimises (lower is better).
    `fid` needs the weights of its network and is computed for nothing else."""
    ema_lengths: list[Width]
    """Widths of averages tried at each checkpoint beside its classic one; they need
    `train.averaging.power`."""
    sampler: SamplerName
    spacing: Spacing
    steps: Annotated[int, Field(ge=1, le=4000)]
    """Timesteps of the samples that are scored."""
    temperature: Unit
    """Factor on their noise."""
    tiles: Annotated[int, Field(ge=2, le=16384)]
    """Val tiles used, spread evenly over them; fewer where there are fewer."""
    budget: Annotated[int, Field(ge=1)] | None
    """Evaluations of the network on a tile, at most, over all candidates: fewer tiles are used
    where `tiles` would take more."""
    batch: Annotated[int, Field(ge=1, le=4096)]
    restoring: RestoringParams | None
    """Kept in the chosen model's folder; null: 50 steps of `ddpm` at temperature 1."""
    seed: Annotated[int, Field(ge=0)]

    @field_validator("ema_lengths")
    @classmethod
    def _each_once(cls, lengths: list[float]) -> list[float]:
        if len(set(lengths)) < len(lengths):
            raise ValueError(f"must name each width once, got {lengths}")
        return lengths
