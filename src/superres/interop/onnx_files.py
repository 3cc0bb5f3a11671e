"""Graphs of a model as ONNX files, which describe themselves and are checked where they can be."""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from superres.core.errors import SuperresError
from superres.interop.onnx_graphs import Graph

OPSET = 25
"""Version of ONNX's operations; torch's exporter knows no newer one."""
TOLERANCE = 1e-4
"""Largest difference from torch; of outputs beyond 1, in units of their largest value."""
CHECKED = {"batch": 1, "height": 21, "width": 34}
"""Of the pictures for which ONNX Runtime and torch are compared."""
NEEDED = ("onnx", "onnxscript")


def check_exportable() -> None:
    """Refuse where what the export needs is not installed.

    Raises:
        SuperresError: naming it, and what installs it.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise SuperresError(
            f"writing ONNX needs {' and '.join(missing)}: pip install 'superres[onnx]'"
        )


def as_onnx(graph: Graph, facts: Mapping[str, Any]) -> bytes:
    """Return a graph as the bytes of an ONNX file.

    Args:
        graph: the graph.
        facts: what the file says of itself, by name; all but strings as JSON.
    """
    import onnx  # noqa: PLC0415 - an extra

    with _quietly(), torch.no_grad():
        program = torch.onnx.export(
            graph.module.eval(),
            (),
            kwargs=graph.examples(),
            dynamo=True,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=graph.dynamic_shapes(),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    _forget_origin(proto)
    for value in [*proto.graph.input, *proto.graph.output]:
        axes = graph.inputs.get(value.name) or graph.outputs[value.name]
        for dim, axis in zip(value.type.tensor_type.shape.dim, axes, strict=True):
            if isinstance(axis, str):
                dim.dim_param = axis
            elif dim.dim_value != axis:
                raise AssertionError(f"{value.name}: {axis} became {dim}")
    proto.graph.name = graph.name
    proto.producer_name, proto.producer_version = "superres", ""
    properties = {
        key: fact if isinstance(fact, str) else json.dumps(fact) for key, fact in facts.items()
    }
    onnx.helper.set_model_props(proto, {**properties, "graph": graph.name})
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString(deterministic=True)


def difference(content: bytes, graph: Graph) -> float | None:
    """Return how far ONNX Runtime is from torch, as `TOLERANCE` counts; None without ONNX Runtime.

    Raises:
        SuperresError: further than that.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime  # noqa: PLC0415 - an extra

    given = graph.random(**CHECKED)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {name: value.numpy() for name, value in given.items()})
    with torch.no_grad():
        wanted = graph.module(**given)
    wanted = [wanted] if isinstance(wanted, Tensor) else wanted
    worst = 0.0
    for name, output, right in zip(graph.outputs, outputs, wanted, strict=True):
        off = float((torch.from_numpy(output) - right).abs().max() / max(1.0, right.abs().max()))
        if not off <= TOLERANCE:
            raise SuperresError(
                f"{graph.name}: {name} differs from torch's by {off:.2g} in ONNX Runtime, more "
                f"than {TOLERANCE:g}"
            )
        worst = max(worst, off)
    return worst


def _forget_origin(proto: Any) -> None:
    """Take out what the exporter notes of source files and of shapes in between."""
    graph = proto.graph
    for part in [*graph.node, *graph.input, *graph.output, *graph.initializer, graph]:
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]
    del proto.metadata_props[:]


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter's warnings, which mean nothing to who exports, from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
