"""The `explore` section: what is tried on a few test tiles to see how the model behaves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from superres.params.section import Section

Unit = Annotated[float, Field(ge=0, le=1)]


class ExploreParams(Section):
    """Read by the `explore` stage."""

    tiles: Annotated[int, Field(ge=1, le=1024)]
    """Test tiles, the sharpest first, that the quality curve is measured on."""
    strengths: Annotated[list[Unit], Field(min_length=1, max_length=9)]
    """Entropies told to the model along both axes of the strength grid."""
    steps: Annotated[list[Annotated[int, Field(ge=1, le=4000)]], Field(min_length=1)]
    """Numbers of sampling steps compared."""
    samples: Annotated[int, Field(ge=2, le=64)]
    """Samples of one tile that the uncertainty map is made of."""
    grid_steps: Annotated[int, Field(ge=1, le=4000)]
    """Sampling steps used for the strength grid and the uncertainty map."""
    batch: Annotated[int, Field(ge=1, le=4096)]
    seed: Annotated[int, Field(ge=0)]
