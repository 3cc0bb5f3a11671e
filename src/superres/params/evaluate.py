"""The `evaluate` section: what is measured and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from superres.params.section import Section


class SwdParams(Section):
    """Sliced Wasserstein distance of Laplacian-pyramid patches."""

    patches_per_tile: Annotated[int, Field(ge=1, le=4096)]
    max_patches: Annotated[int, Field(ge=16, le=4_194_304)]
    """Patches per level over the whole set; bounds memory and time for large sets."""
    projections: Annotated[int, Field(ge=1, le=4096)]
    seed: Annotated[int, Field(ge=0)]


class FeaturesParams(Section):
    """Read by the `reference` stage: what the originals are described with."""

    swd: SwdParams


class EvaluateParams(Section):
    """Read by the `evaluate` stage; `features` by `reference` as well."""

    features: FeaturesParams
    baselines: list[Literal["bicubic", "bilinear", "lanczos"]]
    """Interpolations measured beside the model; `bicubic` is always there."""
    border_crop: Annotated[int, Field(ge=0, le=256)]
    """Pixels left out at each edge for PSNR and SSIM, as super-resolution papers do."""
