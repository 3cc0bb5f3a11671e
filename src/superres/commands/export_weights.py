"""`superres export`: a model for others: weights as elsewhere, or graphs for ONNX."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from superres.commands.export_graphs import SUFFIX, export_graphs
from superres.core.errors import SuperresError
from superres.core.state_dicts import write_state_dict
from superres.core.terminal import echo
from superres.interop.architecture import norm_widths
from superres.interop.guided_diffusion import to_guided_diffusion
from superres.model.folder import load_model
from superres.model.found import described, find_model
from superres.model.resolver import SuperResolver
from superres.model.spec import ModelSpec
from superres.networks.conditional_unet import SuperResUNet
from superres.networks.config import UNetParams
from superres.networks.layers import rules_differ

MEAN_TYPES = {"epsilon": "epsilon", "x0": "start_x"}
"""What the network predicts, in their words."""
STATE_DICTS = (".pth", ".pt")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "model_dir",
        nargs="?",
        metavar="MODEL_DIR",
        help="a model folder (default: models/best where it is, else the model in the box)",
    )
    parser.add_argument(
        "out",
        metavar="OUT",
        help="what to write: OUT.onnx for graphs (docs/export.md), OUT.pth for a state dict",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def run(args: argparse.Namespace) -> int:
    """Check, write, and print what others need to know.

    Raises:
        SuperresError: no model, no name of a file, what cannot be said there.
    """
    out = Path(args.out)
    if out.is_dir():
        raise SuperresError(f"{out}: is a folder; wanted is the name of a file")
    if out.suffix not in (SUFFIX, *STATE_DICTS):
        raise SuperresError(
            f"{out}: must end in {SUFFIX} for graphs, or in {' or '.join(STATE_DICTS)} for a "
            "state dict"
        )
    if out.exists() and not args.overwrite:
        raise SuperresError(f"{out}: exists already; --overwrite replaces it")
    found = find_model(args.model_dir)
    if args.model_dir is None:
        args.model_dir = str(found.folder)
        echo(f"model: {described(found)}")
    if out.suffix == SUFFIX:
        export_graphs(found, out, args.overwrite)
        return 0
    model = load_model(args.model_dir)
    network = model.network
    if not isinstance(network, SuperResUNet):
        raise SuperresError(
            f"{args.model_dir}: model.kind {model.spec.model.kind!r} has no counterpart in "
            "DL-Art-School or guided-diffusion"
        )
    if faults := inexpressible(model):
        raise SuperresError(
            f"{args.model_dir}: has no counterpart in DL-Art-School or guided-diffusion: "
            f"{'; '.join(faults)}"
        )
    tensors = {name: tensor.cpu() for name, tensor in to_guided_diffusion(network).items()}
    write_state_dict(out, tensors)
    print(f"{args.model_dir} -> {out}: {model.parameters():,} weights, for {codebases(model)}")
    for heading, options in (
        ("network (SuperResModel):", network_options(model)),
        ("diffusion:", diffusion_options(model.spec)),
    ):
        print(heading)
        for name, value in options.items():
            print(f"  {name}: {json.dumps(value)}")
    return 0


def inexpressible(model: SuperResolver) -> list[str]:
    """Return the settings that would mean another model there, each with the reason."""
    network, diffusion = _unet(model), model.spec.diffusion
    faults = {
        f"model.unshuffle {network.unshuffle} (they do not rearrange pixels into channels)": (
            network.unshuffle > 1
        ),
        "model.middle_attention false (they always have it)": not network.middle_attention,
        f"diffusion.prediction {diffusion.prediction} (they know epsilon and x0)": (
            diffusion.prediction not in MEAN_TYPES
        ),
        f"diffusion.preconditioning {diffusion.preconditioning} (the output only corrects an "
        "estimate that they do not make)": diffusion.preconditioning != "none",
        f"diffusion.variance {diffusion.variance} (they would read the same outputs as another "
        "variance)": diffusion.variance == "bounded_range",
        f"diffusion.target {diffusion.target} (they would take the difference from the upsampled "
        "input for the picture itself)": diffusion.target != "picture",
        f"model.groupnorm {network.groupnorm} with channel_mult {network.channel_mult} and "
        f"{len(model.spec.entropies)} entropies (DL-Art-School norms by_width and begins with "
        "multiple 1, guided-diffusion norms fixed_32 and has no entropies)": (
            not _for_art_school(model) and not _for_guided_diffusion(model)
        ),
    }
    return [fault for fault, holds in faults.items() if holds]


def codebases(model: SuperResolver) -> str:
    """Return the names of those that can build the network."""
    names = []
    if _for_art_school(model):
        names.append("DL-Art-School")
    if _for_guided_diffusion(model):
        names.append("guided-diffusion")
    return " and ".join(names)


def network_options(model: SuperResolver) -> dict[str, Any]:
    """Return the arguments of `SuperResModel`, as both have them."""
    params = _unet(model)
    options: dict[str, Any] = {"in_channels": 3}
    if model.spec.entropies:
        options["num_corruptions"] = len(model.spec.entropies)
    options.update(
        model_channels=params.channels,
        out_channels=model.network.out_channels,
        num_res_blocks=params.blocks,
        attention_resolutions=params.attention,  # factors here; in guided-diffusion's flags, sizes
        dropout=params.dropout,
        channel_mult=params.channel_mult,
        num_classes=model.spec.classes,
        num_heads=params.heads,
        num_head_channels=-1 if params.head_channels is None else params.head_channels,
        use_scale_shift_norm=params.scale_shift_norm,
        resblock_updown=params.resblock_updown,
        use_new_attention_order=params.attention_order == "qkv_first",
    )
    return options


def diffusion_options(spec: ModelSpec) -> dict[str, Any]:
    """Return what their diffusion is to be built with, and what the entropy planes mean."""
    return {
        "noise_schedule": spec.diffusion.schedule,
        "timesteps": spec.diffusion.timesteps,
        "model_mean_type": MEAN_TYPES[spec.diffusion.prediction],
        "model_var_type": spec.diffusion.variance,
        "rescale_timesteps": spec.diffusion.rescale_timesteps,
        "scale": spec.scale,
        "corruptions": spec.degradation.get("corruptions", spec.entropies),
    }


def _for_art_school(model: SuperResolver) -> bool:
    """Whether DL-Art-School builds this network; its stem always has `model_channels`."""
    params = _unet(model)
    return params.channel_mult[0] == 1 and (params.groupnorm == "by_width" or not _differs(model))


def _for_guided_diffusion(model: SuperResolver) -> bool:
    same = _unet(model).groupnorm == "fixed_32" or not _differs(model)
    return same and not model.spec.entropies


def _differs(model: SuperResolver) -> bool:
    return rules_differ(norm_widths(model.network.state_dict()))


def _unet(model: SuperResolver) -> UNetParams:
    assert isinstance(model.spec.model, UNetParams)
    return model.spec.model
