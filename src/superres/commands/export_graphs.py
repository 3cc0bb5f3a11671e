"""`superres export MODEL OUT.onnx`: a model for other programs; see docs/export.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from superres import __version__
from superres.core.errors import SuperresError
from superres.core.hashing import sha256_of
from superres.core.storage import write_bytes
from superres.core.terminal import echo
from superres.interop.onnx_files import as_onnx, check_exportable, difference
from superres.interop.onnx_graphs import Graph, graphs
from superres.model.folder import WEIGHTS, load_model
from superres.model.found import Found
from superres.model.resolver import SuperResolver
from superres.sampling.batch import Sampling
from superres.sampling.finishing import (
    DETAIL,
    DEVIATION,
    GAIN,
    HIGHEST,
    MASKING,
    NEIGHBOURHOOD,
    SURROUNDINGS,
)
from superres.sampling.spacing import choose_timesteps

FORMAT = "superres-onnx-1"
SUFFIX = ".onnx"


def export_graphs(found: Found, out: Path, overwrite: bool) -> None:
    """Write a model's graphs, the estimate as `out`, the others beside it; say what they are.

    Raises:
        SuperresError: a folder that is not there, files that are, an extra that is missing.
    """
    if not out.parent.is_dir():
        raise SuperresError(f"{out}: there is no folder {out.parent}")
    check_exportable()
    model = load_model(found.folder)
    made = {name_of(out, graph): graph for graph in graphs(model)}
    for path in made:
        if path.is_dir():
            raise SuperresError(f"{path}: is a folder; wanted is the name of a file")
        if path.exists() and not overwrite:
            raise SuperresError(f"{path}: exists already; --overwrite replaces it")
    for path, graph in made.items():
        content = as_onnx(graph, facts(model, found.folder, graph))
        off = difference(content, graph)
        write_bytes(path, content)
        checked = "not compared with torch: pip install onnxruntime"
        if off is not None:
            checked = f"as torch within {off:.1e} in ONNX Runtime"
        inputs, outputs = ", ".join(graph.inputs), ", ".join(graph.outputs)
        echo(f"{path}: {graph.name}, {inputs} -> {outputs}; {checked}")


def name_of(out: Path, graph: Graph) -> Path:
    """Return a graph's file: the estimate's is the one that is named."""
    return out if graph.name == "estimate" else out.with_name(f"{out.stem}-{graph.name}{SUFFIX}")


def facts(model: SuperResolver, folder: Path, graph: Graph) -> dict[str, Any]:
    """Return what a file says of itself; docs/export.md has the table."""
    spec = model.spec
    facts: dict[str, Any] = {
        "format": FORMAT,
        "superres": __version__,
        "weights_sha256": sha256_of(folder / WEIGHTS),
        "scale": spec.scale,
        "entropies": spec.entropies,
        "entropies_range": [0, 1],
        "picture_range": [0, 1],
        "layout": "NCHW, RGB",
        "least_edge": -(-2 * model.size_multiple // spec.scale),
    }
    if graph.name == "denoiser":
        shares = model.diffusion.alphas_cumprod
        log_noise = 0.5 * (np.log1p(-shares) - np.log(shares))
        facts["target"] = spec.diffusion.target
        facts["log_noise"] = [float(f"{value:.8g}") for value in log_noise]
        facts["sampling"] = sampling(model)
    return facts


def sampling(model: SuperResolver) -> dict[str, Any]:
    """Return how the model's folder has samples drawn, the timesteps from the noisiest on."""
    known = model.spec.sampling or Sampling()
    steps = min(known.steps, model.diffusion.timesteps)
    kept = choose_timesteps(model.diffusion.alphas_cumprod, steps, known.spacing)
    return {
        "sampler": known.sampler,
        "timesteps": kept[::-1],
        "temperature": known.temperature,
        "fidelity": known.fidelity,
        "fidelity_deviation_px": DEVIATION * model.spec.scale,
        "coring": known.coring,
        "coring_deviation_px": NEIGHBOURHOOD * model.spec.scale,
        "sharpening": known.sharpening,
        "sharpening_deviation_px": DETAIL * model.spec.scale,
        "sharpening_masking": MASKING,
        "ceiling": known.ceiling,
        "ceiling_gain": GAIN,
        "ceiling_highest": HIGHEST,
        "ceiling_deviation_px": SURROUNDINGS * model.spec.scale,
    }
