"""A tiny model with tiles to distill it on: what tests of students share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from superres.config.check import Params, check_params
from superres.core.params import parse_section
from superres.data.tiling import tile_photographs
from superres.degradation.dataset import PairSet
from superres.degradation.pairs import degrade_tiles
from superres.distillation.config import DistillParams
from superres.distillation.distill import distill
from superres.model.folder import save_model
from superres.model.resolver import SuperResolver
from superres.model.spec import ModelSpec, SamplingSpec
from support import tiny_mean_denoiser_params, tiny_params, write_photographs, write_yaml

USUAL = SamplingSpec(
    sampler="dpmpp_2m",
    steps=5,
    spacing="angle",
    temperature=0.9,
    fidelity=1.0,
    coring=2.5,
    sharpening=0.3,
    estimate=False,
)


def build(folder: Path, two_parts: bool = True) -> Path:
    """Write params, tiles, pairs and a model of random weights, `best`."""
    write_photographs(folder / "photographs", count=8)
    raw = tiny_mean_denoiser_params() if two_parts else tiny_params()
    raw["data"].update(source=str(folder / "photographs"))
    raw["data"]["split"].update(val=0.2, test=0.4)
    checked = check_params(write_yaml(folder / "params.yaml", raw))
    tile_photographs(checked.data, folder / "tiles", folder / "photographs.csv")
    degrade_tiles(checked.degrade, folder / "tiles", folder / "pairs")
    save_model(folder / "best", *random_model(folder, checked))
    return folder


def random_model(folder: Path, checked: Params) -> tuple[ModelSpec, dict[str, torch.Tensor]]:
    pairs = PairSet(folder / "tiles", folder / "pairs", "train")
    spec = ModelSpec(
        format="superres-1",
        model=checked.model,
        diffusion=checked.diffusion,
        scale=pairs.scale,
        entropies=list(pairs.entropy_names),
        degradation=pairs.degradation.to_json(),
        provenance={"step": 1},
        sampling=USUAL if checked.model.kind == "mean_denoiser" else None,
    )
    torch.manual_seed(0)
    network = SuperResolver(spec).network
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return spec, network.state_dict()


def params(**changes: Any) -> DistillParams:
    tiny = {"steps": 2, "training_steps": 6, "batch": 2, "teacher": 0.5, "teacher_steps": 3}
    return parse_section("distill", DistillParams, tiny_params()["distill"] | tiny | changes)


def train_student(run: Path, out: Path, **changes: Any) -> Path:
    """Distill the model of `build`; return the student's folder, its log beside it."""
    distill(
        params(**changes),
        run / "best",
        run / "tiles",
        run / "pairs",
        out / "student",
        out / "distill.csv",
    )
    return out / "student"
