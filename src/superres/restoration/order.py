"""What a picture is to become, and carrying it out: the one way for the command and the page.

Equal orders for equal pictures give equal files, byte for byte, on the same machine with the same
tiling.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superres.restoration.metadata import KEY
from superres.restoration.picture import Picture
from superres.restoration.picture_files import PictureFile, write_picture
from superres.restoration.restorer import Restorer
from superres.restoration.self_ensemble import averaged
from superres.sampling.batch import Sampling

IDENTITY = ("step", "origin", "file", "sha256")
"""What of a model's provenance tells it from others."""


@dataclass(frozen=True)
class Order:
    """How a picture is to be restored.

    Args:
        entropies: one in [0, 1] for each of the model's corruptions; see `Restorer.entropies`.
        how: how to sample; None for the estimate.
        seed: of the noise.
        repeat: which of the picture's samples, from 0.
        ensemble: how many estimates are averaged; see `superres.restoration.self_ensemble`.
    """

    entropies: Mapping[str, float]
    how: Sampling | None = None
    seed: int = 0
    repeat: int = 0
    ensemble: int = 1


def carry_out(
    restorer: Restorer,
    picture: Picture,
    order: Order,
    watch: Callable[[int], object] | None = None,
) -> Picture:
    """Return a picture restored as ordered; takes and raises what `Restorer.run` does."""
    return averaged(
        picture,
        lambda side: restorer.run(
            side, order.entropies, order.how, order.seed, order.repeat, watch
        ),
        order.ensemble,
    )


def write_restored(
    path: str | Path,
    picture: Picture,
    source: PictureFile,
    restorer: Restorer,
    order: Order,
    version: str,
    before: Callable[[bytes], object] | None = None,
) -> tuple[str, ...]:
    """Write a restored picture with what its source said and how it was made.

    The version is the program's, told by who calls: stages depend on this room, and none on the
    version.

    Returns and raises what `write_picture` does.
    """
    return write_picture(path, picture, source, _comment(restorer, order, version), before)


def _comment(restorer: Restorer, order: Order, version: str) -> str:
    provenance = restorer.model.spec.provenance
    facts: dict[str, Any] = {
        KEY: version,
        "model": {key: provenance[key] for key in IDENTITY if key in provenance},
        "entropies": dict(order.entropies),
    }
    if order.how is None:
        facts["estimate"] = True
        facts |= {"ensemble": order.ensemble} if order.ensemble > 1 else {}
    else:
        facts |= {"sampler": order.how.sampler, "steps": order.how.steps}
        facts |= {"spacing": order.how.spacing, "temperature": order.how.temperature}
        facts |= {key: value for key, value in order.how.finish._asdict().items() if value}
        facts |= {"sample": order.repeat + 1}
    return json.dumps({**facts, "seed": order.seed}, ensure_ascii=True)
