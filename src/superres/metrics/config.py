"""The `evaluate` section: what is measured and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from superres.core.params import Section


class SwdParams(Section):
    """Sliced Wasserstein distance of Laplacian-pyramid patches."""

    patches_per_tile: Annotated[int, Field(ge=1, le=4096)]
    max_patches: Annotated[int, Field(ge=16, le=4_194_304)]
    """Patches per level over the whole set; bounds memory and time for large sets."""
    projections: Annotated[int, Field(ge=1, le=4096)]
    seed: Annotated[int, Field(ge=0)]


def _off(value: object) -> object:
    return "off" if value is False else value  # YAML 1.1 reads a bare `off` as no


class FeaturesParams(Section):
    """Read by the `reference` stage: what the originals are described with."""

    swd: SwdParams
    inception: Annotated[Literal["auto", "off"], BeforeValidator(_off)]
    """`auto`: FID, KID, precision and recall where the weights are to be had; `off`: never."""


class KidParams(Section):
    """Kernel inception distance; torch-fidelity's defaults are 100 subsets of 1000, seed 2020."""

    subsets: Annotated[int, Field(ge=1, le=10_000)]
    subset_size: Annotated[int, Field(ge=2, le=20_000)]
    """Features; of a smaller set all are taken, which leaves the deviation without meaning."""
    degree: Annotated[int, Field(ge=1, le=10)] = 3
    """Of the kernel (gamma x y + coef0)^degree; its paper and torch-fidelity take 3, null and 1."""
    gamma: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """null: 1 over the number of features, 2048."""
    coef0: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)]


class BootstrapParams(Section):
    """95 % intervals of the figures that are means over tiles."""

    resamples: Annotated[int, Field(ge=100, le=100_000)]
    seed: Annotated[int, Field(ge=0)]


class EvaluateParams(Section):
    """Read by the `evaluate` stage; `features` by `reference` as well."""

    features: FeaturesParams
    baselines: list[Literal["bicubic", "bilinear", "lanczos"]]
    """Interpolations measured beside the model; `bicubic` is always there."""
    border_crop: Annotated[int, Field(ge=0, le=256)]
    """Pixels left out at each edge for PSNR and SSIM, as super-resolution papers do."""
    kid: KidParams
    neighbours: Annotated[int, Field(ge=1, le=100)]
    """Which nearest neighbour bounds the balls of precision and recall; the paper takes 3."""
    bootstrap: BootstrapParams
