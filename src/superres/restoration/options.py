"""What may be asked of a model: checked before any time is spent."""

from __future__ import annotations

from superres.core.errors import SuperresError
from superres.model.resolver import SuperResolver
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
    if not 0 <= how.temperature <= 1:
        raise SuperresError(f"temperature: must be between 0 and 1, got {how.temperature}")
    if not 0 <= how.fidelity <= 1:
        raise SuperresError(f"fidelity: must be between 0 and 1, got {how.fidelity}")
    if not 0 <= how.coring <= 255:
        raise SuperresError(f"coring: must be between 0 and 255, got {how.coring}")
    held = {"fidelity": how.fidelity, "coring": how.coring}
    for name, value in held.items():
        if value and not model.knows_mean:
            raise SuperresError(
                f"{name}: must be 0 for this model, whose network does not know the mean "
                f"(model.kind mean_denoiser does), got {value}"
            )
    try:
        respaced(model.diffusion, how.steps, how.spacing)
    except ValueError as error:
        raise SuperresError(str(error)) from error
