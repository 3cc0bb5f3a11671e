"""The `data` section: which photographs, how they are cut and how they are split."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from superres.params.section import Section

Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]


class SplitParams(Section):
    """How photographs (never tiles) are divided into train, val and test."""

    val: Share
    test: Share
    salt: str
    """Changing it draws another split; each photograph's place follows from its pixels and this."""


class DataParams(Section):
    """Read by the `tile` stage."""

    source: Annotated[str, Field(min_length=1)]
    """Folder of photographs, searched with its subfolders."""
    tile_size: Annotated[int, Field(ge=16, le=4096)]
    """Edge of a high-resolution tile in pixels."""
    stride: Annotated[int, Field(ge=1, le=4096)]
    """Distance in pixels between the corners of neighbouring training tiles; val and test tiles
    never overlap."""
    min_sharpness: Annotated[float, Field(ge=0, le=1e6)]
    """Training tiles whose Laplacian's standard deviation (8-bit levels of luma) is lower are
    dropped."""
    max_tiles: Annotated[int, Field(ge=1)]
    """Training tiles per photograph at most, spread evenly over it, so that a large photograph
    does not outweigh the others."""
    max_bad_fraction: Fraction
    """More unreadable files than this share of all end the run."""
    split: SplitParams
