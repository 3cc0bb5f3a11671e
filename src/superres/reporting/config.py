"""The `report` section: what the page shows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from superres.core.params import Section


class ReportParams(Section):
    """Read by the `report` stage."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    tiles: Annotated[int, Field(ge=1, le=1000)]
    """Test tiles shown at most, spread from the largest gain to the smallest."""
    zoom: Annotated[int, Field(ge=1, le=8)]
    """Pixels of the page per pixel of a tile, where tiles stand side by side."""
    max_megabytes: Annotated[float, Field(gt=0, le=1000)]
    """Of the tiles' pictures inside the page; fewer tiles are shown where they take more."""
