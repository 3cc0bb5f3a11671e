"""The `diffusion` section: the noising process and what the network predicts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from superres.params.section import Section


class DiffusionParams(Section):
    """Read by the `train` stage; travels inside every trained model."""

    timesteps: Annotated[int, Field(ge=2, le=100_000)]
    schedule: Literal["linear", "cosine"]
    prediction: Literal["epsilon", "x0", "v"]
    variance: Literal["learned_range", "learned", "fixed_small", "fixed_large"]
    target: Literal["picture", "residual"]
    """Diffuse the picture itself, or its difference from the upsampled low-resolution image."""
    residual_base: Literal["bilinear", "bicubic"]
    """How that image is upsampled; unused for `picture`."""
    luma_scale: Annotated[float, Field(gt=0, le=100)]
    chroma_scale: Annotated[float, Field(gt=0, le=100)]
    """The residual's mean over the channels, and what differs from it, are multiplied by these, so
    that both have about unit variance; unused for `picture`."""
    rescale_timesteps: bool
    """The network sees timesteps scaled to [0, 1000) whatever `timesteps` is."""
