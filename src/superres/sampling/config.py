"""The `sampler` section: how the test tiles are restored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from superres.core.params import Precision, Section, Unit
from superres.model.spec import Ceiling, Coring, Sharpening
from superres.networks.config import Condition

SamplerName = Literal["ddpm", "ddim", "dpmpp_2m", "dpmpp_2m_sde", "heun"]
Spacing = Literal["linear", "quadratic", "trailing", "karras", "angle", "trailing_angle"]


class FinishParams(Section):
    """What is done to a sample once it is drawn, with the mean at hand.

    Above 0 only with `diffusion.target: scaled_luma`, whose network knows the mean.
    """

    fidelity: Unit
    """Share of the coarse part of its difference from the mean that is taken back from a sample:
    at 1 only the finest texture is drawn anew."""
    coring: Coring
    """Levels of 255: where a sample differs from the mean by less, around a pixel, most of that is
    taken back, so that smooth parts stay smooth."""
    sharpening: Sharpening
    """What of the mean's own fine detail is added, as a share of it: a mean is softer than what it
    is the mean of. Beside what that adds, less is drawn anew."""
    ceiling: Ceiling
    """How much more than in the surroundings a sample's luma differs from the mean at most, as a
    ratio of root mean squares. What is far below becomes twice as strong and what is above is
    weakened: fewer specks, more texture elsewhere. 0 is none: all is left as it was drawn."""

    def finishing(self) -> dict[str, Any]:
        """Return these alone."""
        return {name: getattr(self, name) for name in FinishParams.model_fields}


class GuidanceParams(Section):
    """Conditioning-free guidance: away from what the network says with fewer conditions."""

    scale: Annotated[float, Field(ge=0, le=100)]
    """0 samples plainly; more follows the conditions more closely than the data would have it, at
    the cost of a second network evaluation per step."""
    ramp: bool
    """The scale falls with the noise, from all of it at the last step to next to nothing."""
    drop: Annotated[list[Condition], Field(min_length=1)]
    """What the second evaluation is not conditioned on; the model must have been trained so:
    `train.drop`."""


class SamplerParams(FinishParams):
    """Read by the `sample` stage alone."""

    name: SamplerName
    steps: Annotated[int, Field(ge=1, le=4000)]
    """Timesteps visited, at most `diffusion.timesteps` of the trained model: a network evaluation
    each; `heun` makes two, but one at the last."""
    spacing: Spacing
    """How they are spread: `linear` is the reference's; `karras` and `quadratic` look more often
    where little noise is left, `angle` where half of the variance is noise; `trailing` ends before
    the cleanest, which suits the solvers of second order (`dpmpp_2m`, `dpmpp_2m_sde`, `heun`);
    `trailing_angle` is `angle` without an evaluation of the cleanest, for very few steps."""
    eta: Annotated[float, Field(ge=0, le=1)]
    """Noise of `ddim`: 0 is deterministic, 1 is as noisy as ancestral sampling."""
    temperature: Unit
    """Factor on the noise added in each step, or of samplers that add none (`dpmpp_2m`, `heun`) on
    what they start from: 1 samples the posterior, less gives smoother pictures, nearer to its
    mean."""
    guidance: GuidanceParams
    repeats: Annotated[int, Field(ge=1, le=64)]
    """Samples per tile; with more than one, their mean is measured too."""
    batch: Annotated[int, Field(ge=1, le=4096)]
    """Tiles per network evaluation; no influence on the result but rounding."""
    precision: Precision
    """What the network computes in; the sampler's own arithmetic is fp32."""
    compile: bool
    """torch.compile, on a GPU with CUDA graphs: minutes at the start, for many small batches."""
    seed: Annotated[int, Field(ge=0)]
