"""What may be asked of a model: checked before any time is spent."""

from __future__ import annotations

from superres.core.errors import SuperresError
from superres.model.resolver import SuperResolver
from superres.model.spec import LARGEST
from superres.sampling.batch import Sampling
from superres.sampling.samplers import SAMPLERS
from superres.sampling.spacing import check_steps, respaced


def check_sampling(how: Sampling, model: SuperResolver) -> None:
    """Refuse what a model cannot do.

    Raises:
        SuperresError: naming option, value and what is allowed.
    """
    check_steps("steps", how.steps, model.diffusion)
    if how.sampler not in SAMPLERS:
        raise SuperresError(f"sampler: must be one of {', '.join(SAMPLERS)}, got {how.sampler!r}")
    for name, largest in LARGEST.items():
        if not 0 <= getattr(how, name) <= largest:
            raise SuperresError(
                f"{name}: must be between 0 and {largest}, got {getattr(how, name)}"
            )
    for name, value in how.finish._asdict().items():
        if value and not model.knows_mean:
            raise SuperresError(
                f"{name}: must be 0 for this model, whose network does not know the mean "
                f"(model.kind mean_denoiser does), got {value}"
            )
    try:
        respaced(model.diffusion, how.steps, how.spacing)
    except ValueError as error:
        raise SuperresError(str(error)) from error
