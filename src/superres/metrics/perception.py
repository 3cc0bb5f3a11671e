"""FID, KID, precision and recall of contenders against the originals, or why there are none.

And the network of LPIPS, or why there is none.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from superres.core.device import pick_device
from superres.evaluation.reference import MISSING, OFF, THERE, TOO_FEW, Reference
from superres.metrics.config import KidParams
from superres.metrics.feature_distances import (
    frechet_distance,
    kernel_distance,
    precision_recall,
    subset_size,
)
from superres.metrics.features import WIDTH, FeatureSet
from superres.metrics.inception import Inception, load_inception
from superres.metrics.lpips import SMALLEST_PX, Lpips, load_lpips
from superres.metrics.weights import (
    ALEXNET,
    FILE,
    LINEAR,
    LPIPS_VARIABLE,
    Weights,
    WeightsMissing,
    by_hand,
    find_lpips,
    find_weights,
)

FIGURES = ("fid", "kid", "kid_std", "precision", "recall")
OTHER = "other"
"""The originals were described with other weights than this machine has."""

_AGAIN = "redoes reference, evaluate and report, nothing else."


class Perception(NamedTuple):
    """Figures by contender, each of `FIGURES` a number or None, and notes on them."""

    figures: dict[str, dict[str, float | None]]
    notes: list[dict[str, Any]]


def open_network(reference: Reference) -> tuple[tuple[Inception, Weights] | None, str]:
    """Return the network that described the originals, and its weights, or None; and the state.

    The state is `THERE` or why there is none.

    Raises:
        SuperresError: weights that are given by a path which is wrong.
    """
    if reference.features is None:
        return None, str(reference.inception["state"])
    try:
        weights = find_weights()
    except WeightsMissing as error:
        print(f"evaluate: no Inception features: {error}\nBy hand: {by_hand()}.", file=sys.stderr)
        return None, MISSING
    if weights.sha256 != reference.inception["sha256"]:
        return None, OTHER
    return (load_inception(weights.path).to(pick_device()), weights), THERE


def open_lpips(
    contenders: Sequence[str], smallest_px: int, named: bool = False
) -> tuple[Lpips | None, list[dict[str, Any]]]:
    """Return the network of LPIPS where its weights are given, or None; and a note on why not.

    Nobody has to have them: there is no note where they are neither given nor named.

    Args:
        contenders: names.
        smallest_px: shortest edge of all pictures.
        named: whether `weights.json` names the weights, so that its readers expect the figure.

    Raises:
        SuperresError: weights that are given but cannot be used.
    """
    weights = find_lpips()
    if weights is None and not named:
        return None, []
    if weights is None:
        reason = (
            f"weights.json names its weights, but {LPIPS_VARIABLE} was not set where this was "
            f"measured. Set it to a folder with {ALEXNET} and {LINEAR}; then `dvc repro --force "
            "--single-item evaluate` and `dvc repro`."
        )
    elif smallest_px < SMALLEST_PX:
        reason = f"a picture is {smallest_px} pixels high or wide, it needs {SMALLEST_PX}."
    else:
        return load_lpips(weights.alexnet, weights.linear).to(pick_device()), []
    text = f"LPIPS is not computed: {reason}"
    return None, [{"metric": "lpips", "contenders": list(contenders), "text": text}]


def feature_figures(
    original: FeatureSet, restored: FeatureSet, kid: KidParams, neighbours: int
) -> dict[str, float | None]:
    """Return `FIGURES` of one contender; precision and recall are None for sets that small."""
    mean, deviation = kernel_distance(original, restored, kid)
    figures: dict[str, float | None] = dict.fromkeys(FIGURES)
    figures |= {"fid": frechet_distance(original, restored), "kid": mean, "kid_std": deviation}
    if min(len(original.held), len(restored.held)) > neighbours:
        figures["precision"], figures["recall"] = precision_recall(original, restored, neighbours)
    return figures


def absent(contenders: Sequence[str], reason: str) -> Perception:
    """Return None for every figure, and notes with the reason."""
    text = f"FID, KID, precision and recall are not computed: {reason}"
    notes = [
        {"metric": name, "contenders": list(contenders), "text": text}
        for name in ("fid", "kid", "precision", "recall")
    ]
    return Perception({name: dict.fromkeys(FIGURES) for name in contenders}, notes)


def reason_and_remedy(state: str, named: bool) -> str:
    """Return why a run has no such figures and what to do, the same words on every machine.

    Args:
        state: why, `OFF`, `MISSING`, `OTHER` or `TOO_FEW`.
        named: whether `weights.json` names weights already, so that getting them changes nothing
            that DVC looks at.
    """
    after = (
        f"`dvc repro --force --single-item reference evaluate` and `dvc repro`, which {_AGAIN}"
        if named
        else f"`dvc repro`, which {_AGAIN}"
    )
    reasons = {
        OFF: "evaluate.features.inception is off in params.yaml; `auto` computes them.",
        MISSING: "the weights of the Inception network were not to be had. Run `make weights`, "
        f"which downloads them or says where to put them by hand; then {after}",
        OTHER: "the originals were described with other weights of the Inception network than this "
        f"machine has. Run `make weights`, then {after}",
        TOO_FEW: "one test tile has no distribution.",
    }
    return reasons[state]


def feature_notes(
    contenders: Sequence[str], original: FeatureSet, kid: KidParams, neighbours: int, weights: str
) -> list[dict[str, Any]]:
    """Return what a reader of these figures has to know.

    Args:
        contenders: names.
        original: the originals' features; a contender has as many.
        kid: how KID was computed.
        neighbours: of precision and recall.
        weights: what the weights are called.
    """
    notes = []

    def note(metric: str, text: str) -> None:
        notes.append({"metric": metric, "contenders": list(contenders), "text": text})

    count, held = original.count, len(original.held)
    if count < WIDTH:
        note(
            "fid",
            f"FID is of {count} pictures, fewer than its {WIDTH} features: it is too high by an "
            "amount that falls with their number, so compare it among these only.",
        )
    if subset_size(original, original, kid) >= held:
        note(
            "kid",
            f"KID's subsets hold all {held} pictures (subset_size is {kid.subset_size}): its "
            "deviation says nothing.",
        )
    if held < count:
        note("kid", f"KID, precision and recall are of {held} of the {count} pictures.")
    if held <= neighbours:
        for metric in ("precision", "recall"):
            note(metric, f"Precision and recall need more than {neighbours} pictures, got {held}.")
    if weights != FILE:
        note("fid", f"FID and KID are of {weights}: they compare with no published figure.")
    return notes
