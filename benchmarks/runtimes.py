"""Other runtimes against torch on a CPU: the table in docs/export.md.

PYTHONPATH=src python -m benchmarks.runtimes                # the model in the box, 512 x 512 px
PYTHONPATH=src python -m benchmarks.runtimes 256 3 MODEL    # so many px, calls, another model

It needs `pip install 'superres[onnx]' onnxruntime`, and takes OpenVINO in where that is installed.
Figures are of processor time, one thread each, in turns in one process: they hold beside other
work as far as their ratios do. The model is one of two parts, as the one in the box.
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from superres.core.device import pick_device
from superres.core.precision import Computing
from superres.interop.onnx_files import as_onnx
from superres.interop.onnx_graphs import graphs
from superres.model.folder import load_model
from superres.model.found import find_model
from superres.model.resolver import SuperResolver

STEPS = (10, 15)
PARTS = {"estimate": "estimate", "denoiser": "one evaluation of the denoiser"}
Call = Callable[[], Any]
"""Computes a restored picture, (1, 3, H, W), in the units of [0, 1] or [-1, 1]."""


def main() -> None:
    """Measure and print a table."""
    edge, rounds = (int(text) for text in (*sys.argv[1:3], *("512", "7")[len(sys.argv[1:3]) :]))
    torch.set_num_threads(1)
    folder = find_model(sys.argv[3] if len(sys.argv) > 3 else None).folder
    calls = ways(folder, edge)
    reference = {part: shown(call()) for part, call in calls["torch, channels last"].items()}
    for name, parts in calls.items():
        off = {part: np.abs(shown(call()) - reference[part]).max() for part, call in parts.items()}
        print(f"{name}: differs by", ", ".join(f"{off[part]:.1e} ({part})" for part in off))
    print(*table(milliseconds(calls, rounds)), sep="\n")


def ways(folder: Path, edge: int) -> dict[str, dict[str, Call]]:
    """Return what computes the estimate and one evaluation of the denoiser, by runtime."""
    exported = {graph.name: graph for graph in graphs(load_model(folder))}
    if "conditions" not in exported:
        raise SystemExit(f"{folder}: not a network of two parts")
    scale = exported["estimate"].scale
    # All inputs of all graphs go together: what the conditions say is theirs of that picture.
    given = exported["estimate"].random(1, edge // scale, edge // scale)
    with torch.no_grad():
        said = exported["conditions"].module(**given)
    noisy = exported["denoiser"].random(1, edge // scale, edge // scale)
    noisy |= dict(zip(exported["conditions"].outputs, said, strict=True))
    inputs = {"estimate": given, "denoiser": {**noisy, **_entropies(given)}}
    files = {part: as_onnx(exported[part], {}) for part in PARTS}
    device = pick_device("cpu")
    made = {
        "torch, channels last": by_torch(load_model(folder, device), inputs),
        "torch, contiguous": by_torch(_contiguous(load_model(folder, device)), inputs),
        "ONNX Runtime": by_onnx_runtime(files, inputs),
        "torch, bf16": by_torch(load_model(folder, device, Computing("bf16")), inputs),
    }
    if importlib.util.find_spec("openvino") is not None:
        for name, hint in (("fp32", "f32"), ("bf16", "bf16")):
            made[f"OpenVINO, {name}"] = by_openvino(files, inputs, hint)
    return made


def by_torch(model: SuperResolver, inputs: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Call]:
    """Return what `superres restore` does with a picture of one window."""
    picture = inputs["estimate"]["picture"]
    told = inputs["estimate"].get("entropies", picture.new_empty(1, 0))
    x, timestep = (inputs["denoiser"][name] for name in ("noisy", "timestep"))
    diffusion = model.diffusion
    known = model.condition(2 * picture - 1, told)

    def estimate() -> Tensor:
        return model.condition(2 * picture - 1, told).mean()

    def denoiser() -> Tensor:
        output = known(x, diffusion.model_timesteps(timestep))
        return known.decode(diffusion.limited_x0(output, x, timestep, known.clip))

    def without_gradients(call: Call) -> Call:
        return torch.no_grad()(lambda: (call().clamp(-1, 1) + 1) / 2)

    return {"estimate": without_gradients(estimate), "denoiser": without_gradients(denoiser)}


def by_onnx_runtime(
    files: Mapping[str, bytes], inputs: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, Call]:
    """Return the same by ONNX Runtime, from exported graphs."""
    import onnxruntime  # noqa: PLC0415 - an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1

    def call(part: str) -> Call:
        session = onnxruntime.InferenceSession(
            files[part], options, providers=["CPUExecutionProvider"]
        )
        fed = _arrays(inputs[part], [put.name for put in session.get_inputs()])
        return lambda: session.run(["restored"], fed)[0]

    return {part: call(part) for part in PARTS}


def by_openvino(
    files: Mapping[str, bytes], inputs: Mapping[str, Mapping[str, Tensor]], hint: str
) -> dict[str, Call]:
    """Return the same by OpenVINO, in a precision by its name there."""
    openvino: Any = importlib.import_module("openvino")  # measured where it is installed
    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": hint})

    def call(part: str) -> Call:
        compiled = core.compile_model(core.read_model(files[part]), "CPU")
        fed = _arrays(inputs[part], [put.get_any_name() for put in compiled.inputs])
        return lambda: compiled(fed)["restored"]

    return {part: call(part) for part in PARTS}


def milliseconds(
    calls: Mapping[str, Mapping[str, Call]], rounds: int
) -> dict[str, dict[str, float]]:
    """Return the medians of processor time by part and way, every way's calls in turns."""
    taken: dict[str, dict[str, list[float]]] = {
        part: {name: [] for name in calls} for part in PARTS
    }
    for part, times in taken.items():
        for _ in range(rounds):
            for name, parts in calls.items():
                begin = time.process_time()
                parts[part]()
                times[name].append(1000 * (time.process_time() - begin))
    return {
        part: {name: statistics.median(each) for name, each in times.items()}
        for part, times in taken.items()
    }


def table(medians: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the lines of a table of medians, with what whole restorations add up to."""
    names = list(medians["estimate"])
    rows = {PARTS[part]: times for part, times in medians.items()}
    for steps in STEPS:
        rows[f"estimate and {steps} evaluations, summed from those"] = whole = {
            name: medians["estimate"][name] + steps * medians["denoiser"][name] for name in names
        }
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for what, times in rows.items():
        lines.append(f"| {what} | {' | '.join(f'{times[name]:.0f}' for name in names)} |")
    ratios = " | ".join(f"{whole[names[0]] / whole[name]:.2f}" for name in names)
    return [*lines, f"| {names[0]} over it, {STEPS[-1]} | {ratios} |"]


def shown(picture: Tensor | np.ndarray) -> np.ndarray:
    """Return a picture as an array."""
    return np.asarray(picture, np.float32)


def _contiguous(model: SuperResolver) -> SuperResolver:
    model.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return model


def _entropies(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in given.items() if name == "entropies"}


def _arrays(given: Mapping[str, Tensor], names: list[str]) -> dict[str, np.ndarray]:
    return {name: given[name].contiguous().numpy() for name in names}


if __name__ == "__main__":
    main()
