"""The `select` section: how checkpoints are compared on the val pairs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from superres.params.section import Section


class SelectParams(Section):
    """Read by the `select` stage."""

    metric: Literal["swd", "psnr_estimate", "psnr_sample"]
    """`swd`: of one few-step sample (lower is better); `psnr_estimate`: of the one-evaluation
    estimate; `psnr_sample`: of the few-step sample (higher is better)."""
    steps: Annotated[int, Field(ge=1, le=4000)]
    """Sampling steps used for scoring."""
    tiles: Annotated[int, Field(ge=1)]
    """Val tiles used, spread evenly over them; fewer where there are fewer."""
    batch: Annotated[int, Field(ge=1, le=4096)]
    seed: Annotated[int, Field(ge=0)]
