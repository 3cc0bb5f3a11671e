"""The `diffusion` section: the noising process and what the network predicts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from superres.core.params import Section


class DiffusionParams(Section):
    """Read by the `train` stage; travels inside every trained model."""

    timesteps: Annotated[int, Field(ge=2, le=100_000)]
    schedule: Literal["linear", "cosine"]
    prediction: Literal["epsilon", "x0", "v"]
    preconditioning: Literal["none", "wiener"]
    """`wiener`: the network corrects a linear estimate whose local variance it also predicts, so
    that it need not copy its noisy input; the prediction must then be x0."""
    variance: Literal["learned_range", "bounded_range", "learned", "fixed_small", "fixed_large"]
    """`learned_range` is the published one; `bounded_range` cannot leave that range, which a small
    network otherwise does far enough to spoil samples."""
    target: Literal["picture", "residual", "scaled_luma"]
    """Diffuse the picture itself, its difference from the upsampled low-resolution image, or (of a
    network of the kind `mean_denoiser`, and of no other) what luma differs from the network's mean,
    divided by how much it does so around each pixel."""
    residual_base: Literal["bilinear", "bicubic"]
    """How that image is upsampled; used by `residual` alone."""
    residual_scale: Annotated[float, Field(gt=0, le=100)]
    """The residual is multiplied by this, so that its variance is about 1; for `residual` alone."""
    rescale_timesteps: bool
    """The network sees timesteps scaled to [0, 1000) whatever `timesteps` is."""

    @model_validator(mode="after")
    def _preconditioning_fits(self) -> Self:
        if self.preconditioning == "wiener" and self.prediction != "x0":
            raise ValueError("preconditioning 'wiener' needs prediction 'x0'")
        return self
