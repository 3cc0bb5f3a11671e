"""The `sampler` section: how the test tiles are restored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from superres.params.section import Section

SamplerName = Literal["ddpm", "ddim"]


class SamplerParams(Section):
    """Read by the `sample` stage alone."""

    name: SamplerName
    steps: Annotated[int, Field(ge=1, le=4000)]
    """Network evaluations per sample; at most `diffusion.timesteps` of the trained model."""
    eta: Annotated[float, Field(ge=0, le=1)]
    """Noise of `ddim`: 0 is deterministic, 1 is as noisy as ancestral sampling."""
    temperature: Annotated[float, Field(ge=0, le=1)]
    """Factor on the noise added in each step: 1 samples the posterior, less gives smoother
    pictures, nearer to its mean."""
    repeats: Annotated[int, Field(ge=1, le=64)]
    """Samples per tile; with more than one, their mean is measured too."""
    batch: Annotated[int, Field(ge=1, le=4096)]
    """Tiles per network evaluation; no influence on the result but rounding."""
    seed: Annotated[int, Field(ge=0)]
