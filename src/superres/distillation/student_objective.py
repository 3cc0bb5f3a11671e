"""What a student learns by: to make in a few steps what the teacher makes in many.

The student's whole way from noise to a sample, its few DDIM steps, is run and differentiated, so
that what is trained is what will be sampled. Its sample is judged in two ways:

* by the squared difference from the teacher's sample of the same noise, which the teacher's
  deterministic sampler makes in more steps (distillation of trajectories: Luhman & Luhman 2021,
  "Knowledge distillation in iterative generative models"; Salimans & Ho 2022, "Progressive
  distillation"). Alone, it smooths: what a few evaluations cannot follow becomes its mean.
* by the energy score against the original, a strictly proper rule for distributions, which needs
  two samples of the student, no second network and no adversary (Gneiting & Raftery 2007; for
  diffusion models of few steps De Bortoli et al. 2025, "Distributional diffusion models with
  scoring rules"). E|x - y| - E|x - x'| / 2 is least where samples x and x' vary about the truth as
  the truth y does given the same input, so that grain neither fades nor grows. Here it is the mean
  over small patches, of the signal and of its fine detail.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from superres.core.precision import PRECISIONS
from superres.diffusion.prediction import drive
from superres.diffusion.timesteps import TimestepSampler, UniformTimesteps
from superres.diffusion.variational import mean_over_pixels
from superres.distillation.config import DistillParams
from superres.model.resolver import Conditioned, SuperResolver
from superres.sampling.samplers import begin
from superres.sampling.spacing import respaced
from superres.sampling.trajectory import Trajectory
from superres.training.data import TrainingBatch

SAMPLER, SPACING = "ddim", "trailing_angle"
"""How a student samples."""
TEACHER_SAMPLER, TEACHER_SPACING = "dpmpp_2m", "angle"
PATCHES = (3, 7)
"""Edges of the patches of the energy score, px."""
LEAST = 1e-3
"""Added to root mean squares, whose slope at zero has no bound."""


class Distillation:
    """The objective of a student; see `superres.training.objectives.Objective`.

    Args:
        model: the student, which begins as the teacher; what it does not train of its weights is
            frozen here.
        teacher: the selected model; not asked where `params.teacher` is 0.
        params: steps and weights.
    """

    def __init__(
        self, model: SuperResolver, teacher: SuperResolver | None, params: DistillParams
    ) -> None:
        self.model = model
        self.timesteps: TimestepSampler = UniformTimesteps(model.diffusion.timesteps)
        self._params = params
        self._teacher = teacher
        self._dtype = PRECISIONS[params.precision]
        trained = set(model.unwrapped.distilled())
        for name, weight in model.network.named_parameters():
            weight.requires_grad_(name in trained)

    def terms(self, batch: TrainingBatch, timesteps: Tensor) -> dict[str, Tensor]:
        """See `Objective`; the parts are `energy` and `teacher`, as far as they count.

        A student has timesteps of its own: those that are given are not looked at.
        """
        params, model = self._params, self.model
        noise = batch.noise[:, : model.channels]
        with torch.autocast(model.device.type, self._dtype, enabled=self._dtype is not None):
            conditioned = model.condition(batch.low, batch.entropy)
            first = self._sample(conditioned, noise)
            terms = {}
            if params.teacher < 1:
                second = self._sample(conditioned, elsewhere(noise))
                with torch.no_grad():
                    truth = conditioned.encode(batch.high)
                score = energy_score(first.float(), second.float(), truth.float())
                terms["energy"] = (1 - params.teacher) * score
            if params.teacher:
                taught = self._taught(batch, noise)
                terms["teacher"] = params.teacher * mean_over_pixels((first - taught).square())
        return {"loss": sum(terms.values(), torch.zeros_like(next(iter(terms.values())))), **terms}

    def _sample(self, conditioned: Conditioned, noise: Tensor) -> Tensor:
        """Return what the student makes of noise, differentiable."""
        kept = respaced(self.model.diffusion, self._params.steps, SPACING)
        trajectory = Trajectory(kept, lambda: noise, clip_denoised=conditioned.clip)
        return drive(begin(SAMPLER, trajectory, noise.shape), conditioned)

    @torch.no_grad()
    def _taught(self, batch: TrainingBatch, noise: Tensor) -> Tensor:
        """Return what the teacher makes of the same noise, in as many steps as it is given."""
        teacher = self._teacher
        assert teacher is not None
        conditioned = teacher.condition(batch.low, batch.entropy)
        kept = respaced(teacher.diffusion, self._params.teacher_steps, TEACHER_SPACING)
        trajectory = Trajectory(kept, lambda: noise, clip_denoised=conditioned.clip)
        return drive(begin(TEACHER_SAMPLER, trajectory, noise.shape), conditioned)


def elsewhere(noise: Tensor) -> Tensor:
    """Return noise moved by half of height and width: as good as fresh for any one patch."""
    return noise.roll((noise.shape[-2] // 2, noise.shape[-1] // 2), (-2, -1))


def energy_score(first: Tensor, second: Tensor, truth: Tensor) -> Tensor:
    """Return the energy score of two samples against the truth, (B,): lower is better.

    Args:
        first: a sample, (B, C, H, W).
        second: another of the same input, independent of it.
        truth: what the samples may be.

    Returns:
        (E|x - y| + E|x' - y|) / 2 - E|x - x'| / 2, where the distance is the root mean square of a
        patch's pixels, averaged over all patches of `PATCHES`, of the pictures as they are and
        without what is coarse in them. Its mean is least where the samples have the truth's
        distribution.
    """
    score = first.new_zeros(len(first))
    for band in (_full_band, _fine_band):
        x, other, y = (band(each) for each in (first, second, truth))
        for edge in PATCHES:
            off = (_distance(x, y, edge) + _distance(other, y, edge)) / 2
            score = score + off - _distance(x, other, edge) / 2
    return score


def _full_band(x: Tensor) -> Tensor:
    return x


def _fine_band(x: Tensor) -> Tensor:
    """Return what a binomial filter of 3 x 3 takes away."""
    line = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)
    kernel = (line[:, None] * line).expand(x.shape[1], 1, 3, 3)
    smooth = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.shape[1])
    return x - smooth


def _distance(one: Tensor, other: Tensor, edge: int) -> Tensor:
    """Return the mean over patches of the root mean square difference, (B,)."""
    square = (one - other).square().mean(1, keepdim=True)
    patches = F.avg_pool2d(square, edge, stride=1)
    return mean_over_pixels((patches + LEAST**2).sqrt())
