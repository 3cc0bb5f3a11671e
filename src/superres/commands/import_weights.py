"""`superres import`: a model folder of DL-Art-School or guided-diffusion weights.

What tensors show is inferred. What they do not show has defaults, those of the origin's recipe;
every one that was not given on the command line is printed, and kept in the model's provenance.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from superres.core.errors import SuperresError
from superres.core.hashing import sha256_of
from superres.core.state_dicts import read_state_dict
from superres.degradation.config import DegradeParams
from superres.diffusion.config import DiffusionParams
from superres.interop.architecture import Architecture, infer_architecture
from superres.interop.guided_diffusion import load_guided_diffusion, named_tensors
from superres.interop.origins import (
    ORIGINS,
    Choices,
    degradation_of,
    diffusion_of,
    hidden_options,
    label_of,
    origin_of,
)
from superres.model.folder import DESCRIPTION, save_model
from superres.model.resolver import SuperResolver
from superres.model.spec import ModelSpec
from superres.networks.config import UNetParams

NOT_CHOICES = ("command", "checkpoint", "model_dir", "overwrite")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments; what is not given depends on the weights."""
    add = parser.add_argument
    add("checkpoint", metavar="CHECKPOINT", help="a state dict: .pth, .pt or .safetensors")
    add("model_dir", metavar="MODEL_DIR", help="the model folder to write")
    add("--overwrite", action="store_true", help="replace a model folder that exists")
    add("--origin", choices=["auto", *ORIGINS], default="auto", help="whose weights these are")
    add("--scale", type=int, help="enlargement; default 2 (DL-Art-School) or 4")
    add("--timesteps", type=int, help="of the training; default 4000 (DL-Art-School) or 1000")
    add("--schedule", choices=_allowed(DiffusionParams, "schedule"), help="default linear")
    add(
        "--rescale-timesteps",
        action=argparse.BooleanOptionalAction,
        help="the network sees timesteps scaled to 1000; default no",
    )
    add("--prediction", choices=["epsilon", "x0"], help="default epsilon")
    variances = [name for name in _allowed(DiffusionParams, "variance") if name != "bounded_range"]
    add(
        "--variance", choices=variances, help="default learned_range, or fixed_large if not learned"
    )
    add("--heads", type=int, help="attention heads; default 4, or as OpenAI's upsamplers have it")
    add("--head-channels", type=int, help="channels per head, instead of a number of heads")
    add(
        "--heads-upsample",
        type=int,
        help="num_heads_upsample of their options; others than the heads are refused",
    )
    orders = _allowed(UNetParams, "attention_order")
    add("--attention-order", choices=orders, help="default heads_first")
    add("--groupnorm", choices=_allowed(UNetParams, "groupnorm"), help="default by origin")
    add(
        "--corruption",
        type=_corruption,
        action="append",
        metavar="NAME=KIND",
        help="what an entropy plane means; once per plane, in their order",
    )
    add("--blur-scale", type=float, help="of the kind gaussian_blur; default 1")
    add("--downsampling", choices=_allowed(DegradeParams, "downsampling"), help="default area")
    add("--label", type=int, help="class to restore everything as; default the mean of all")


def run(args: argparse.Namespace) -> int:
    """Read, check, write, and say what was inferred and assumed."""
    source, folder = Path(args.checkpoint), Path(args.model_dir)
    _check_target(folder, source, args.overwrite)
    choices = Choices(
        {k: v for k, v in vars(args).items() if v not in (None, "auto") and k not in NOT_CHOICES}
    )
    try:
        tensors = named_tensors(read_state_dict(source))
        architecture = infer_architecture(tensors)
        origin = choices.settle("origin", origin_of(architecture))
        network = load_guided_diffusion(tensors, **hidden_options(architecture, origin, choices))
    except ValueError as error:
        raise SuperresError(f"{source}: {error}") from error
    degradation = degradation_of(architecture.entropies, origin, choices, str(source))
    spec = ModelSpec(
        format="superres-1",
        model=network.params,
        diffusion=diffusion_of(architecture.out_channels, origin, choices, str(source)),
        scale=degradation.scale,
        entropies=list(degradation.names),
        degradation=degradation.to_json(),
        dropped=[],
        classes=architecture.classes,
        label=label_of(architecture.classes, choices, str(source)),
        provenance={
            "origin": origin,
            "file": source.name,
            "sha256": sha256_of(source),
            "inferred": _inferred(architecture),
            "given": choices.given,
            "assumed": choices.assumed,
        },
    )
    model = SuperResolver(spec, network)
    save_model(folder.resolve(), spec, network.state_dict())
    print(f"{source.name} -> {folder}: {model.parameters():,} weights")
    facts = [f"{name} {value}" for name, value in spec.provenance["inferred"].items()]
    _print("inferred from the tensors:", facts)
    _print("given:", [_flag(name, value) for name, value in choices.given.items()])
    flags = [_flag(name, value) for name, value in choices.assumed.items()]
    _print("assumed, which these flags change:", flags)
    return 0


def _check_target(folder: Path, source: Path, overwrite: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise SuperresError(f"{folder}: is a file; a model is a folder")
    if not overwrite:
        raise SuperresError(f"{folder}: exists already; --overwrite replaces it")
    if not (folder / DESCRIPTION).is_file() and any(folder.iterdir()):
        raise SuperresError(f"{folder}: --overwrite replaces model folders; no {DESCRIPTION} here")
    if folder.resolve() in source.resolve().parents:
        raise SuperresError(f"{folder}: replacing it would delete {source}")


def _inferred(architecture: Architecture) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(architecture).items() if name != "norm_widths"}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in shown.items()}


def _print(heading: str, lines: list[str]) -> None:
    if lines:
        print("\n  ".join([heading, *lines]))


def _flag(name: str, value: Any) -> str:
    """Return a choice as the flag that makes it."""
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return flag if value else f"--no-{flag[2:]}"
    if isinstance(value, list):
        return " ".join(f"{flag} {item}" for item in value)
    return f"{flag} (none: the mean of all classes)" if value is None else f"{flag} {value}"


def _corruption(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"wanted NAME=KIND, got {text!r}")
    return text


def _allowed(section: type[DegradeParams | DiffusionParams | UNetParams], key: str) -> list[str]:
    return list(get_args(section.model_fields[key].annotation))
