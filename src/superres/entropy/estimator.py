"""An estimator of corruption entropies on disk, and in memory.

Its folder holds `weights.safetensors` and `entropy.json`: the corruptions it knows, in order, how
its inputs were degraded, the network's width and how cautious it is. Nothing else is needed to use
it.
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
from safetensors.torch import load_file
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.params import Section
from superres.core.state_dicts import save_tensors, tensor_faults
from superres.core.storage import replacing_folder, write_json
from superres.degradation.chain import meaning
from superres.entropy.network import CELL, LEVELS, EntropyNetwork, cells_of, posterior

WEIGHTS = "weights.safetensors"
DESCRIPTION = "entropy.json"

OLD_DESCRIPTION, OLD_FORMAT = "strengths.json", "superres-strengths-2"
"""What estimators were described in when entropies were called strengths; nothing else differs."""

PATCH = 32 * CELL
"""Edge of the parts that a larger picture is looked at in, in pixels of the input."""

MAX_PATCHES = 64
"""Of a picture, spread evenly; more would take time and tell nothing new."""


CANDIDATES = 101
"""Estimates that may be given, evenly from 0 to 1."""


class EstimatorSpec(Section):
    """Everything about an estimator but its weights."""

    format: Literal["superres-entropy-1"]
    entropies: list[str]
    """Names in the order of the network's outputs."""
    degradation: dict[str, Any]
    """How the inputs it was trained on were made."""
    channels: Annotated[int, Field(ge=1)]
    caution: Annotated[float, Field(ge=1)]
    """See `least_harm`."""


class EntropyEstimator:
    """Says how strongly pictures were corrupted.

    Args:
        spec: the description.
        network: built from it; by default a new one.
    """

    def __init__(self, spec: EstimatorSpec, network: EntropyNetwork | None = None) -> None:
        self.spec = spec
        self.network = network or EntropyNetwork(len(spec.entropies), spec.channels)

    @torch.no_grad()
    def estimate(self, low: Tensor) -> dict[str, float]:
        """Return an entropy in [0, 1] for each corruption, of 2 decimals.

        Args:
            low: one picture in [-1, 1], (1, 3, h, w); of a large one, parts spread over it.
        """
        return self.estimate_with_spread(low)[0]

    @torch.no_grad()
    def estimate_with_spread(
        self, low: Tensor, share: float = 0.8
    ) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
        """Return the estimates, and how sure they are: between what an entropy lies, probably.

        Args:
            low: as for `estimate`.
            share: the probability that the estimator gives to what lies between the two ends,
                which are those of levels of 1/16; as much lies below as above.
        """
        if not self.spec.entropies:
            return {}, {}
        patches = _patches(low)
        votes = sum(self.network(patch) for patch in patches)
        probabilities = posterior(votes, sum(map(cells_of, patches)))[0].exp()
        estimates = least_harm(probabilities, self.spec.caution).tolist()
        below = probabilities.cumsum(dim=-1)
        ends = [
            (((below < quantile).sum(dim=-1) + edge) / (LEVELS - 1)).clamp(0, 1).tolist()
            for quantile, edge in (((1 - share) / 2, -0.5), ((1 + share) / 2, 0.5))
        ]
        names = self.spec.entropies
        return (
            {name: round(value, 2) for name, value in zip(names, estimates, strict=True)},
            {name: (least, most) for name, least, most in zip(names, *ends, strict=True)},
        )

    def check_model(self, entropies: Sequence[str], degradation: dict[str, Any]) -> None:
        """Refuse a model that means something else by its entropies.

        How often it was trained on which of them does not matter.

        Raises:
            SuperresError: saying what differs.
        """
        ours, theirs = meaning(self.spec.degradation), meaning(degradation)
        if self.spec.entropies != list(entropies) or ours != theirs:
            raise SuperresError(
                f"the estimator of entropies is for {ours}, the model for {theirs}; entropies must "
                "be given by hand"
            )


def least_harm(probabilities: Tensor, caution: float) -> Tensor:
    """Return the estimates that are expected to spoil a restored picture least.

    What a corruption does grows faster than its entropy (a blur's effect with its deviation's
    square), so harm is the squared difference between the entropies' squares. A model
    conditioned on more blur than there was draws halos, on less it leaves some blur: the former
    counts `caution` times.

    Args:
        probabilities: of the levels, (..., LEVELS).
        caution: at least 1.

    Returns:
        Multiples of 0.01 in [0, 1], of the shape (...).
    """
    estimates = torch.linspace(0, 1, CANDIDATES)
    excess = estimates[:, None].square() - torch.linspace(0, 1, LEVELS).square()
    harm = torch.where(excess > 0, caution, 1.0) * excess.square()
    return estimates[(probabilities @ harm.T).argmin(dim=-1)]


def save_estimator(folder: str | Path, estimator: EntropyEstimator) -> None:
    """Write an estimator's folder, all or nothing."""
    tensors = {name: t.contiguous() for name, t in estimator.network.state_dict().items()}
    with replacing_folder(folder) as partial:
        save_tensors(tensors, partial / WEIGHTS)
        write_json(partial / DESCRIPTION, estimator.spec.model_dump())


def load_estimator(folder: str | Path) -> EntropyEstimator:
    """Return the estimator of a folder.

    Raises:
        SuperresError: a missing, damaged or foreign file.
    """
    path = Path(folder) / DESCRIPTION
    if not path.is_file() and (Path(folder) / OLD_DESCRIPTION).is_file():
        path = Path(folder) / OLD_DESCRIPTION
    if not path.is_file():
        raise SuperresError(
            f"{folder}: no estimator of entropies there (no {DESCRIPTION}); the stage `entropy` "
            "writes one"
        )
    try:
        spec = EstimatorSpec.model_validate(_upgraded(json.loads(path.read_text(encoding="utf-8"))))
        estimator = EntropyEstimator(spec)
        weights = load_file(Path(folder) / WEIGHTS)
    except (OSError, ValueError, ValidationError, SafetensorError) as error:
        raise SuperresError(f"{folder}: not readable: {str(error).splitlines()[0]}") from error
    if faults := tensor_faults(weights, estimator.network.state_dict()):
        raise SuperresError(f"{folder}: not readable: {WEIGHTS}: {'; '.join(faults)}")
    estimator.network.load_state_dict(weights)
    estimator.network.eval().requires_grad_(False)
    return estimator


def _upgraded(description: Any) -> Any:
    """Return a description in today's format."""
    if isinstance(description, dict) and description.get("format") == OLD_FORMAT:
        return {**description, "format": "superres-entropy-1"}
    return description


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
