"""Checking a whole params file, before any stage spends time on part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from superres.core.errors import SuperresError
from superres.core.params import PARAMS_FILE, closest, load_section, read_params
from superres.data.config import DataParams
from superres.degradation.config import DegradeParams
from superres.diffusion.config import DiffusionParams
from superres.distillation.config import DistillParams
from superres.entropy.config import EntropyParams
from superres.explore.config import ExploreParams
from superres.metrics.config import EvaluateParams
from superres.networks.config import MODEL_PARAMS, ModelParams, UNetParams
from superres.reporting.config import ReportParams
from superres.sampling.config import FinishParams, SamplerParams
from superres.selection.config import SelectParams
from superres.training.config import TrainParams

FEWEST_VAL_TILES = 2
"""`superres.selection.select` has it too, and a test compares what follows from it."""

SSIM_WINDOW = 11
"""Pixels; `superres.metrics.fidelity` has it too, and a test compares them."""


RENAMED = {"strengths": "entropy"}
"""Sections that had another name before."""


class Params(NamedTuple):
    """Every section of a params file."""

    data: DataParams
    degrade: DegradeParams
    model: ModelParams
    diffusion: DiffusionParams
    train: TrainParams
    select: SelectParams
    distill: DistillParams
    sampler: SamplerParams
    explore: ExploreParams
    entropy: EntropyParams
    evaluate: EvaluateParams
    report: ReportParams


def check_params(path: str | Path = PARAMS_FILE) -> Params:
    """Return every section of a params file, typed.

    Raises:
        SuperresError: every fault of every section and between sections, one per line.
    """
    sections = Params.__annotations__
    raw = read_params(path)
    faults = [
        f"{path}: unknown section '{name}'"
        + (
            f": it is called '{RENAMED[name]}' now"
            if name in RENAMED
            else closest(str(name), list(sections))
        )
        for name in raw
        if name not in sections
    ]
    by_old_name = {new for old, new in RENAMED.items() if old in raw and new not in raw}
    loaded: dict[str, Any] = {}
    for name, section in _section_classes().items():
        if name in by_old_name:
            continue
        try:
            loaded[name] = load_section(name, section, path)
        except SuperresError as error:
            faults.append(str(error))
    if faults:
        raise SuperresError("\n".join(faults))
    params = Params(**loaded)
    faults = [f"{path}: {fault}" for fault in _conflicts(params)]
    if faults:
        raise SuperresError("\n".join(faults))
    return params


def _section_classes() -> dict[str, Any]:
    return {
        "data": DataParams,
        "degrade": DegradeParams,
        "model": MODEL_PARAMS,
        "diffusion": DiffusionParams,
        "train": TrainParams,
        "select": SelectParams,
        "distill": DistillParams,
        "sampler": SamplerParams,
        "explore": ExploreParams,
        "entropy": EntropyParams,
        "evaluate": EvaluateParams,
        "report": ReportParams,
    }


def _conflicts(params: Params) -> list[str]:
    """Return what is wrong between sections whose values are each allowed."""
    faults = []
    tile, scale = params.data.tile_size, params.degrade.scale
    if tile % scale:
        faults.append(f"data.tile_size: must be a multiple of degrade.scale {scale}, got {tile}")
    part = params.train.crop
    if part is not None and (part > tile or part % scale):
        faults.append(
            f"train.crop: must be a multiple of degrade.scale {scale} and at most data.tile_size "
            f"{tile}, got {part}"
        )
    if params.data.split.val + params.data.split.test >= 1:
        faults.append("data.split: val and test must leave photographs to train on (sum below 1)")
    if params.train.batch % params.train.micro_batches:
        faults.append(
            f"train.batch: must be a multiple of train.micro_batches "
            f"{params.train.micro_batches}, got {params.train.batch}"
        )
    limit = params.diffusion.timesteps
    steps = {
        "select.steps": params.select.steps,
        "distill.teacher_steps": params.distill.teacher_steps if params.distill.steps else 0,
        "sampler.steps": params.sampler.steps,
        "explore.grid_steps": params.explore.grid_steps,
    }
    steps |= {
        f"explore.curves.{number}.steps": max(curve.steps)
        for number, curve in enumerate(params.explore.curves)
    }
    faults += [
        f"{key}: must be at most diffusion.timesteps {limit}, got {value}"
        for key, value in steps.items()
        if value > limit
    ]
    faults += _loss_conflicts(params)
    if params.select.ema_lengths and not params.train.averaging.power:
        faults.append(
            f"select.ema_lengths: must be [] without the averages of train.averaging.power, got "
            f"{params.select.ema_lengths}"
        )
    faults += _budget_conflicts(params)
    crop = params.evaluate.border_crop
    if tile - 2 * crop < SSIM_WINDOW:
        faults.append(
            f"evaluate.border_crop: must leave {SSIM_WINDOW} of data.tile_size {tile} pixels for "
            f"SSIM, got {crop}"
        )
    if params.diffusion.schedule == "linear" and limit <= 20:
        faults.append(f"diffusion.timesteps: must be at least 21 for linear, got {limit}")
    if isinstance(params.model, UNetParams):
        faults += _unet_conflicts(params.model)
    names = [corruption.name for corruption in params.degrade.corruptions]
    faults += [
        f"entropy.evenly: {name!r} is none of degrade.corruptions ({', '.join(names) or 'none'})"
        for name in params.entropy.evenly
        if name not in names
    ]
    return faults + _kind_conflicts(params) + _finish_conflicts(params)


def _budget_conflicts(params: Params) -> list[str]:
    """Return what says that the budget of `select` cannot score its candidates."""
    budget, sampling = params.select.budget, params.select.steps
    checkpoints = -(-params.train.steps // params.train.checkpoint_every)
    candidates = checkpoints * (1 + len(params.select.ema_lengths))
    if params.select.sampler == "heun":
        sampling = 2 * sampling - 1
    least = FEWEST_VAL_TILES * candidates * (2 + sampling)  # the loss and the estimate, the sample
    if budget is None or budget >= least:
        return []
    return [
        f"select.budget: must be at least {least} to score {candidates} candidates on "
        f"{FEWEST_VAL_TILES} tiles, got {budget}"
    ]


def _loss_conflicts(params: Params) -> list[str]:
    """Return what cannot be trained, or not be sampled from what is trained."""
    faults = []
    loss, guidance = params.train.loss, params.sampler.guidance
    if loss.timesteps == "loss_second_moment" and loss.high_noise:
        faults.append(
            f"train.loss.high_noise: must be 0 with timesteps 'loss_second_moment', which "
            f"chooses them itself, got {loss.high_noise}"
        )
    if loss.min_snr_gamma is not None and loss.kind.endswith("kl"):
        faults.append(
            f"train.loss.min_snr_gamma: must be null with kind '{loss.kind}', which has no "
            f"squared error, got {loss.min_snr_gamma}"
        )
    faults += [
        f"train.drop.{name}: must be above 0 for sampler.guidance that drops '{name}', got 0.0"
        for name in guidance.drop
        if guidance.scale and not getattr(params.train.drop, name)
    ]
    if params.distill.steps and guidance.scale:
        faults.append(
            f"sampler.guidance.scale: must be 0 with distill.steps {params.distill.steps}, whose "
            f"student is sampled without guidance, got {guidance.scale}"
        )
    return faults


def _finish_conflicts(params: Params) -> list[str]:
    """Return where samples are to be held to a mean that the network does not know."""
    sections = {
        "sampler": params.sampler,
        "select": params.select,
        "select.restoring": params.select.restoring,
    }
    return [
        f"{name}.{key}: must be 0 with model.kind {params.model.kind!r}, got {value}"
        for name, section in sections.items()
        for key in FinishParams.model_fields
        if params.model.kind != "mean_denoiser" and (value := getattr(section, key, 0))
    ]


def _kind_conflicts(params: Params) -> list[str]:
    """Return what does not go with the kind of network."""
    diffusion, loss = params.diffusion, params.train.loss
    of_two_parts = params.model.kind == "mean_denoiser"
    fits = {
        f"diffusion.target: must be 'scaled_luma' with model.kind 'mean_denoiser', and with no "
        f"other, got {diffusion.target!r} with {params.model.kind!r}": (
            of_two_parts == (diffusion.target == "scaled_luma")
        ),
        f"train.loss.kind: must be 'mean_denoiser' with model.kind 'mean_denoiser', and with no "
        f"other, got {loss.kind!r} with {params.model.kind!r}": (
            of_two_parts == (loss.kind == "mean_denoiser")
        ),
    }
    if of_two_parts:
        fits |= {
            f"diffusion.preconditioning: must be 'none' with model.kind 'mean_denoiser', got "
            f"{diffusion.preconditioning!r}": diffusion.preconditioning == "none",
            f"diffusion.variance: must be 'fixed_small' or 'fixed_large' with model.kind "
            f"'mean_denoiser', got {diffusion.variance!r}": diffusion.variance.startswith("fixed"),
            "train.drop: must be 0 with model.kind 'mean_denoiser', whose mean needs its "
            "conditions": not params.train.drop.dropped(),
        }
    return [fault for fault, right in fits.items() if not right]


def _unet_conflicts(model: UNetParams) -> list[str]:
    """Return what keeps a network from being built as described."""
    faults = []
    widths = [model.channels * multiple for multiple in model.channel_mult]
    factors = [2**level for level in range(len(widths))]
    for factor in model.attention:
        if factor not in factors:
            faults.append(f"model.attention: must be among {factors}, got {factor}")
    attending = {w for w, factor in zip(widths, factors, strict=True) if factor in model.attention}
    if model.middle_attention:
        attending.add(widths[-1])
    key = "heads" if model.head_channels is None else "head_channels"
    divisor = model.heads if model.head_channels is None else model.head_channels
    for width in sorted(attending):
        if width % divisor:
            faults.append(f"model.{key}: must divide the {width} channels, got {divisor}")
    if model.groupnorm == "fixed_32" and any(width % 32 for width in widths):
        faults.append(f"model.channels: fixed_32 needs multiples of 32, got widths {widths}")
    return faults
