"""The `distill` stage's function."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from superres.core.distributed import connected, entered_by_first
from superres.core.errors import SuperresError
from superres.core.fingerprints import fingerprint
from superres.distillation.config import DistillParams
from superres.distillation.student_objective import SAMPLER, SPACING, Distillation
from superres.model.folder import load_model, read_spec, read_weights, save_model
from superres.model.resolver import SuperResolver
from superres.model.spec import ModelSpec, SamplingSpec
from superres.training.checkpoint import Progress
from superres.training.config import TrainParams
from superres.training.loop import trained
from superres.training.memory import network_that_fits
from superres.training.monitor import Row
from superres.training.trainer import Trainer

DISTILLATION_FORMAT = 1
"""Raise it with every change to what a distillation computes; see `TRAINING_FORMAT`."""
CHECKPOINTS = 8
"""How often its state is kept."""
ROWS = 5
"""Rows of its log from one to the next."""


def distill(
    params: DistillParams,
    model_folder: str | Path,
    tiles: str | Path,
    pairs: str | Path,
    out: Path,
    log_file: Path,
) -> dict[str, Any]:
    """Train a student of `params.steps` evaluations and write it as a model folder.

    Unfinished work of the same params, model, data and `DISTILLATION_FORMAT` is continued.

    Args:
        params: the student and its training.
        model_folder: the teacher.
        tiles: folder of tiles.
        pairs: folder of pairs.
        out: gets the student.
        log_file: CSV with a row per some steps, written as they come.

    Returns:
        Facts for the timing table.

    Raises:
        SuperresError: bad params or data, a loss that went wrong, nowhere to write.
    """
    teacher = read_spec(model_folder)
    with connected() as processes, network_that_fits():
        if processes.count > 1:
            raise SuperresError("distill: works on one device; start it without torchrun")
        name = fingerprint(
            [params], [model_folder, tiles, pairs], f"distillation {DISTILLATION_FORMAT}"
        )
        progress = Progress(out.parent / ".distillation", name)
        train = training_params(params, model_folder)
        make = partial(_objective, params=params, folder=model_folder)
        setup = partial(
            Trainer, teacher.model, teacher.diffusion, train, tiles, pairs, processes, make
        )

        def publish(log: list[Row]) -> None:
            last = progress.checkpoint(int(log[-1]["step"] or 0))
            save_model(out, _described(params, model_folder, teacher), read_weights(last))
            progress.discard()

        with entered_by_first(processes, progress.locked()):
            return trained(setup, progress, publish, log_file)


def training_params(params: DistillParams, model_folder: str | Path) -> TrainParams:
    """Return a distillation as the params of a training that begins with the teacher."""
    steps = params.training_steps
    rows = max(1, steps // (ROWS * CHECKPOINTS))
    return TrainParams.model_validate(
        {
            "start_from": str(model_folder),
            "new_entropies": False,
            "without_entropies": False,
            "steps": steps,
            "batch": params.batch,
            "micro_batches": 1,
            "learning_rate": {
                "peak": params.learning_rate,
                "warmup_steps": steps // 20,
                "decay": "cosine",
                "final_fraction": 0.0,
                "halve_at": [],
            },
            "muon": {"rate": 0.0, "momentum": 0.95},
            "betas": [0.9, 0.99],
            "weight_decay": 0.0,
            "clip_norm": 1.0,
            "averaging": {"ema": params.ema, "power": []},
            "loss": {
                "kind": "mse",  # not asked: the objective is a distillation's
                "weighting": "prediction",
                "vb_weight": 1.0,
                "high_noise": 0.0,
                "timesteps": "uniform",
                "log_noise": [0.0, 1.0],
                "denoiser_share": 1.0,
                "mean_error": "mse",
                "min_snr_gamma": None,
            },
            "drop": {"low": 0.0, "entropies": 0.0},
            "fresh_corruptions": 1.0,
            "crop": None,
            "recolored": 0.0,  # the mean network, which colours are for, does not learn
            "precision": params.precision,
            "tf32": False,
            "channels_last": True,
            "compile": False,
            "activation_checkpointing": False,
            "checkpoint_every": max(1, steps // CHECKPOINTS),
            "log_every": rows,
            "bad_loss": {"action": "stop", "limit": 1, "factor": None},
            "previews": {"every": None, "tiles": 1},
            "seed": params.seed,
        }
    )


def _objective(model: SuperResolver, params: DistillParams, folder: str | Path) -> Distillation:
    """Return the objective of a student, its teacher loaded where it is asked."""
    teacher = None
    if params.teacher:
        teacher = load_model(folder, model.device)
        teacher.check_pairs(model.spec.scale, model.spec.entropies, folder)
    return Distillation(model, teacher, params)


def _described(params: DistillParams, model_folder: str | Path, teacher: ModelSpec) -> ModelSpec:
    """Return the description of a student."""
    own = {"sampler": SAMPLER, "steps": params.steps, "spacing": SPACING}
    usual = teacher.sampling or SamplingSpec.model_validate({**own, "temperature": 1.0})
    sampling = usual.model_copy(update={**own, "estimate": False, "student": True})
    made = {"teacher": str(model_folder), "distilled": params.model_dump()}
    return teacher.model_copy(
        update={"sampling": sampling, "provenance": {**teacher.provenance, **made}}
    )
