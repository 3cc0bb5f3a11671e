"""The `data` section: which photographs, how they are cut and how they are split."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from superres.core.params import Section

Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]


Patterns = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class SplitLists(Section):
    """Names of photographs, or globs of them (`**` for any folders), for each split."""

    train: Patterns
    val: Patterns
    test: Patterns


def _digits(value: Any) -> Any:
    """Return a whole number as its digits: on the command line `salt=12` is one."""
    return str(value) if type(value) is int else value


class SplitParams(Section):
    """How photographs (never tiles) are divided into train, val and test."""

    val: Share
    test: Share
    salt: Annotated[str, BeforeValidator(_digits)]
    """Changing it draws another split; each photograph's place follows from its pixels and this."""
    lists: SplitLists | None
    """Says itself what goes where, instead of the fractions."""


class DataParams(Section):
    """Read by the `tile` stage."""

    source: Annotated[str, Field(min_length=1)]
    """Folder of photographs, searched with its subfolders; a zip or tar archive; or a text file
    with a path or address per line, relative to it. Folder and text file may be at an address
    (`s3://`, `gs://`, `https://`)."""
    pattern: Annotated[str, Field(min_length=1)]
    """Glob that names below `source` must match; `**` stands for any folders."""
    tile_size: Annotated[int, Field(ge=16, le=4096)]
    """Edge of a high-resolution tile in pixels."""
    stride: Annotated[int, Field(ge=1, le=4096)]
    """Distance in pixels between the corners of neighbouring training tiles; val and test tiles
    never overlap."""
    reductions: Annotated[
        list[Annotated[float, Field(gt=0.05, le=1)]], Field(min_length=1, max_length=8)
    ]
    """Edges of the copies that training tiles are cut from, over the photograph's: 1 is the
    photograph itself, 0.5 a copy of half its width and height, whose detail is twice as fine."""
    min_sharpness: Annotated[float, Field(ge=0, le=1e6)]
    """Training tiles whose Laplacian's standard deviation (8-bit levels of luma) is lower are
    dropped."""
    max_tiles: Annotated[int, Field(ge=1)]
    """Training tiles per photograph at most, spread evenly over it and its reductions, so that a
    large photograph does not outweigh the others."""
    max_bad_fraction: Fraction
    """More unreadable files than this share end the run, of those that are images by their name or
    their content."""
    max_megapixels: Annotated[float, Field(gt=0, le=178)]
    """Larger pictures are refused before they are decoded; Pillow itself refuses from 179 on."""
    split: SplitParams
