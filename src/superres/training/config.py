"""The `train` section: optimisation, averaging and checkpoints."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from superres.core.params import Precision, Section, Unit
from superres.networks.config import Condition

Positive = Annotated[int, Field(ge=1, le=100_000_000)]
MeanError = Literal["mse", "rmse"]

Width = Annotated[float, Field(ge=0.01, le=0.28)]
"""Standard deviation of an averaging profile over the length of the training."""


class AveragingParams(Section):
    """Averages of the weights kept while training."""

    ema: Annotated[float, Field(ge=0, lt=1)]
    """Decay of the exponential moving average, min(ema, (1 + step) / (10 + step))."""
    power: list[Width]
    """Relative widths of averages by a power function, of which `select` can make averages of any
    width after training: none, or two or more. Each takes as much memory as the weights."""

    @model_validator(mode="after")
    def _enough_widths(self) -> Self:
        if len(self.power) == 1 or len(set(self.power)) < len(self.power):
            raise ValueError(
                f"power must be empty or hold at least two different widths, got {self.power}"
            )
        return self


class LossParams(Section):
    """What is minimised."""

    kind: Literal["mse", "rescaled_mse", "kl", "rescaled_kl", "mean_denoiser"]
    """`mean_denoiser`, for a network of that kind: squared error of the mean, likelihood of its
    luma's error, and the squared error of the denoiser's prediction; the keys below that belong to
    the variational bound are not used."""
    weighting: Literal["prediction", "x0"]
    """Squared error of what is predicted, or of the x0 that follows from it."""
    vb_weight: Annotated[float, Field(ge=0, le=1000)]
    """Factor on the variational term that trains a learned variance. guided-diffusion and the
    recipe have 1: unscaled in `mse`, times timesteps / 1000 in `rescaled_mse`."""
    high_noise: Annotated[float, Field(ge=0, le=1)]
    """Share of the timesteps drawn from the noisiest twentieth, which the one-evaluation estimate
    is made from; the others are uniform."""
    timesteps: Literal["uniform", "loss_second_moment", "log_normal"]
    """`loss_second_moment` draws timesteps by importance, once each has been seen ten times, and
    weights their losses so that the sum stays the same on average; meant for the `kl` losses.
    `log_normal` draws noise's over signal's deviation by `log_noise`."""
    log_noise: Annotated[list[float], Field(min_length=2, max_length=2)]
    """Mean and deviation of the natural logarithm of noise's over signal's deviation; used by
    timesteps `log_normal` alone."""
    denoiser_share: Annotated[float, Field(gt=0, le=1)]
    """Share of the tiles of a pass, at least one, that the denoiser of `mean_denoiser` learns from;
    of the others the mean alone does, which takes a quarter less time. Used by that kind alone."""
    mean_error: MeanError
    """What the mean of `mean_denoiser` learns by: each tile's squared error, or the root of that,
    by which easy tiles count for more, as they do in a mean of PSNRs. Used by that kind alone."""
    min_snr_gamma: Annotated[float, Field(gt=0, le=1000)] | None
    """Squared errors of x0 count min(SNR, gamma), 5 in the paper; null leaves them as they are."""


class DropParams(Section):
    """Share of the tiles whose condition is withheld, each drawn on its own."""

    low: Unit
    """The low-resolution picture; a residual is still added to its interpolation."""
    entropies: Unit
    """All corruption entropies; such a model can also restore without knowing them."""

    def dropped(self) -> list[Condition]:
        """Return the conditions that are withheld at all."""
        shares: dict[Condition, float] = {"low": self.low, "entropies": self.entropies}
        return [name for name, share in shares.items() if share > 0]


class LearningRateParams(Section):
    """Linear warm-up, then constant, cosine decay, or halving at given steps."""

    peak: Annotated[float, Field(gt=0, le=1)]
    warmup_steps: Annotated[int, Field(ge=0)]
    decay: Literal["constant", "cosine", "step"]
    final_fraction: Annotated[float, Field(ge=0, le=1)]
    """Where `cosine` ends, as a fraction of the peak."""
    halve_at: list[Positive]
    """Steps at which `step` halves the learning rate."""


class MuonParams(Section):
    """Muon (Jordan et al. 2024), in the place of AdamW for the convolutions of a network's blocks.

    A step along the gradients' running mean with all its singular values made 1, as long as a
    usual step of AdamW (Liu et al. 2025). What is left (the first and the last layers, biases,
    embeddings, norms) is AdamW's. Not with weights divided among processes.
    """

    rate: Annotated[float, Field(ge=0, le=100)]
    """Its learning rate over `learning_rate`'s; 0 leaves all weights to AdamW."""
    momentum: Annotated[float, Field(ge=0, lt=1)]


class BadLossParams(Section):
    """What happens when the loss of a step is NaN, infinite, or explodes."""

    action: Literal["stop", "skip"]
    """`stop` ends the run with the last good state kept; `skip` leaves that step's update out, for
    which every step waits for the device."""
    limit: Positive
    """Steps skipped in a whole training at most."""
    factor: Annotated[float, Field(gt=1)] | None
    """A loss of more than this many times its median over the last 100 steps has exploded, and so
    has a gradient norm where nothing clips it; null looks for NaN and infinity alone."""


class PreviewParams(Section):
    """Grids of fixed val tiles in `reports/previews`, restored in one evaluation by the average."""

    every: Positive | None
    """Steps between grids; null for none."""
    tiles: Annotated[int, Field(ge=1, le=64)]


class TrainParams(Section):
    """Read by the `train` stage."""

    start_from: Annotated[str, Field(min_length=1)]
    """`models/noise`, or the model folder whose weights training begins with; the optimiser, the
    averages and the learning rate start afresh. Scale, network, diffusion and corruptions must
    be the same."""
    new_entropies: bool
    """Corruptions that the model of `start_from` does not know get inputs of their own."""
    without_entropies: bool
    """Corruptions that it knows and this training does not have are taken as absent: its weights
    begin as they are at entropy 0."""
    steps: Positive
    batch: Annotated[int, Field(ge=1, le=65536)]
    """Tiles per optimiser step, over all micro-batches and processes."""
    micro_batches: Annotated[int, Field(ge=1, le=4096)]
    """Forward and backward passes that one optimiser step is divided into, over all processes; with
    more processes than passes, each makes one."""
    learning_rate: LearningRateParams
    muon: MuonParams
    betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)]
    weight_decay: Annotated[float, Field(ge=0, le=10)]
    clip_norm: Annotated[float, Field(gt=0)] | None
    """Gradients are scaled down to this norm; null leaves them alone."""
    averaging: AveragingParams
    loss: LossParams
    drop: DropParams
    fresh_corruptions: Unit
    """Share of the inputs made anew for each time a tile is seen, by the degradation of
    `data/pairs`, instead of read from it; costs the host's time."""
    crop: Annotated[int, Field(ge=8, le=4096)] | None
    """Edge in pixels of the part of a tile that is trained on, chosen anew each time from where a
    block of JPEG begins; null: all of it. The input is cut after its corruption: blur has seen what
    lies around, as in a photograph, whereas at a tile's own edge it sees a mirror."""
    recolored: Unit
    """Share of those whose original gets other colours first: channels in another order, another
    saturation, exposure and white balance. A few photographs do not show every colour."""
    precision: Precision
    """Of the network's arithmetic; weights and averages are fp32 always."""
    tf32: bool
    """Matrix products and convolutions of fp32 may round their inputs to TF32, where a GPU can."""
    channels_last: bool
    """The order of memory that tensor cores want."""
    compile: bool
    """torch.compile: minutes at the start of every run, faster steps then."""
    activation_checkpointing: bool
    checkpoint_every: Positive
    """Steps between checkpoints, each a candidate for `select`; the last step is always one."""
    log_every: Positive
    """Steps between rows of `reports/train.csv`, which are means over the steps between."""
    bad_loss: BadLossParams
    previews: PreviewParams
    seed: Annotated[int, Field(ge=0)]
