"""An estimator of corruption strengths on disk, and in memory.

Its folder holds `weights.safetensors` and `strengths.json`: the corruptions it knows, in order, how
its inputs were degraded, and the network's width. Nothing else is needed to use it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from superres.errors import SuperresError
from superres.estimation.network import CELL, StrengthNetwork, pooled
from superres.params.section import Section
from superres.storage import replacing_folder, write_json

WEIGHTS = "weights.safetensors"
DESCRIPTION = "strengths.json"

PATCH = 32 * CELL
"""Edge of the parts that a larger picture is looked at in, in pixels of the input."""

MAX_PATCHES = 64
"""Of a picture, spread evenly; more would take time and tell nothing new."""


class EstimatorSpec(Section):
    """Everything about an estimator but its weights."""

    format: Literal["superres-strengths-1"]
    entropies: list[str]
    """Names in the order of the network's outputs."""
    degradation: dict[str, Any]
    """How the inputs it was trained on were made."""
    channels: Annotated[int, Field(ge=1)]


class StrengthEstimator:
    """Says how strongly pictures were corrupted.

    Args:
        spec: the description.
        network: built from it; by default a new one.
    """

    def __init__(self, spec: EstimatorSpec, network: StrengthNetwork | None = None) -> None:
        self.spec = spec
        self.network = network or StrengthNetwork(len(spec.entropies), spec.channels)

    @torch.no_grad()
    def estimate(self, low: Tensor) -> dict[str, float]:
        """Return a strength in [0, 1] for each corruption, rounded to 3 decimals.

        Args:
            low: one picture in [-1, 1], (1, 3, h, w); of a large one, parts spread over it.
        """
        precision = torch.zeros(1, len(self.spec.entropies))
        weighted = torch.zeros_like(precision)
        for patch in _patches(low):
            more_precision, more_weighted = self.network(patch)
            precision += more_precision
            weighted += more_weighted
        strengths = pooled(precision, weighted)[0].clamp(0, 1).tolist()
        return {
            name: round(value, 3)
            for name, value in zip(self.spec.entropies, strengths, strict=True)
        }

    def check_model(self, entropies: Sequence[str], degradation: dict[str, Any]) -> None:
        """Refuse a model that means something else by its strengths.

        Raises:
            SuperresError: saying what differs.
        """
        if self.spec.entropies != list(entropies) or self.spec.degradation != degradation:
            raise SuperresError(
                f"the estimator of strengths is for {self.spec.degradation}, the model for "
                f"{degradation}; strengths must be given by hand"
            )


def save_estimator(folder: str | Path, estimator: StrengthEstimator) -> None:
    """Write an estimator's folder, all or nothing."""
    tensors = {name: t.contiguous() for name, t in estimator.network.state_dict().items()}
    with replacing_folder(folder) as partial:
        save_file(tensors, partial / WEIGHTS)
        write_json(partial / DESCRIPTION, estimator.spec.model_dump())


def load_estimator(folder: str | Path) -> StrengthEstimator:
    """Return the estimator of a folder.

    Raises:
        SuperresError: a missing, damaged or foreign file.
    """
    path = Path(folder) / DESCRIPTION
    if not path.is_file():
        raise SuperresError(
            f"{folder}: no estimator of strengths there (no {DESCRIPTION}); the stage `strengths` "
            "writes one"
        )
    try:
        spec = EstimatorSpec.model_validate(json.loads(path.read_text(encoding="utf-8")))
        estimator = StrengthEstimator(spec)
        estimator.network.load_state_dict(load_file(Path(folder) / WEIGHTS))
    except (OSError, ValueError, ValidationError, SafetensorError, RuntimeError) as error:
        raise SuperresError(f"{folder}: not readable: {str(error).splitlines()[0]}") from error
    estimator.network.eval().requires_grad_(False)
    return estimator


def _patches(low: Tensor) -> list[Tensor]:
    """Return parts of a picture that begin on cells, at least one cell large."""
    height, width = low.shape[-2:]
    if min(height, width) < CELL:
        low = F.pad(low, (0, max(0, CELL - width), 0, max(0, CELL - height)), mode="replicate")
        height, width = low.shape[-2:]
    places = [
        (row, column)
        for row in range(0, height - CELL + 1, PATCH)
        for column in range(0, width - CELL + 1, PATCH)
    ]
    if len(places) > MAX_PATCHES:
        chosen = np.linspace(0, len(places) - 1, MAX_PATCHES).round().astype(int)
        places = [places[index] for index in chosen]
    return [low[..., row : row + PATCH, column : column + PATCH] for row, column in places]
