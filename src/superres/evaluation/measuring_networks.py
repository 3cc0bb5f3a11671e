"""The networks that figures need, or why they are not there, and notes on their figures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NamedTuple

from superres.core.distributed import Processes
from superres.evaluation.reference import MISSING, OFF, THERE, TOO_FEW, Reference
from superres.metrics import dists, lpips
from superres.metrics.catalog import FEATURE_FIGURES, FeatureSettings, figure_named
from superres.metrics.dists import Dists, load_dists
from superres.metrics.feature_distances import subset_size
from superres.metrics.feature_sets import FeatureSet
from superres.metrics.features import WIDTH
from superres.metrics.inception import Inception, load_inception
from superres.metrics.lpips import Lpips, load_lpips
from superres.metrics.perceptual import Network
from superres.metrics.weights import (
    DISTS,
    DISTS_DIGITS,
    DISTS_VARIABLE,
    FILE,
    LPIPS,
    LPIPS_DIGITS,
    LPIPS_VARIABLE,
    GivenWeights,
    Weights,
    WeightsMissing,
    by_hand,
    find_dists,
    find_lpips,
    find_weights,
)

OTHER = "other"
"""The originals were described with other weights than this machine has."""

Notes = list[dict[str, Any]]
"""Each `metric`, `contenders` and `text`."""

_AGAIN = "redoes reference, evaluate and report, nothing else."


def open_network(
    reference: Reference, processes: Processes
) -> tuple[tuple[Inception, Weights] | None, str]:
    """Return the network that described the originals, and its weights, or None; and the state.

    The state is `THERE` or why there is none; of several processes the first's counts.

    Raises:
        SuperresError: weights that are given by a path which is wrong, or only the first has any.
    """
    if reference.features is None:
        return None, str(reference.inception["state"])
    state = THERE
    weights: Weights | None = None
    try:
        weights = processes.by_turns(find_weights)
    except WeightsMissing as error:
        state = MISSING
        if processes.writes:
            print(
                f"evaluate: no Inception features: {error}\nBy hand: {by_hand()}.",
                file=sys.stderr,
            )
    if weights is not None and weights.sha256 != reference.inception["sha256"]:
        weights, state = None, OTHER
    weights = processes.found_by_all(weights, "the weights of the originals' Inception network")
    if weights is None:
        return None, state
    return (load_inception(weights.path).to(processes.device), weights), THERE


def open_pair_networks(
    contenders: Sequence[str],
    smallest_px: int,
    processes: Processes,
    named: Container[str] = (),
) -> tuple[dict[str, Network], Notes]:
    """Return the networks of LPIPS and DISTS whose weights are given, by figure, and notes.

    Nobody has to have them: there is no note where they are neither given nor named.

    Args:
        contenders: names.
        smallest_px: shortest edge of all pictures.
        processes: this one among its peers; the first's weights count.
        named: figures whose weights `weights.json` names, so that its readers expect them.

    Raises:
        SuperresError: weights that are given but cannot be used, or only the first has any.
    """
    networks: dict[str, Network] = {}
    notes: Notes = []
    for name, kind in _PAIR_NETWORKS.items():
        weights = processes.found_by_all(kind.find(), f"the weights of {name}")
        if weights is None and name not in named:
            continue
        if weights is None:
            reason = (
                f"weights.json names its weights, but {kind.variable} was not set where this was "
                f"measured. Set it to a folder with {' and '.join(kind.digits)}; then `dvc repro "
                "--force --single-item evaluate` and `dvc repro`."
            )
        elif smallest_px < kind.smallest_px:
            reason = f"a picture is {smallest_px} pixels high or wide, it needs {kind.smallest_px}."
        else:
            networks[name] = kind.load(*weights.paths).to(processes.device)
            continue
        text = f"{figure_named(name).title} is not computed: {reason}"
        notes.append({"metric": name, "contenders": list(contenders), "text": text})
    return networks, notes


class _PairNetwork(NamedTuple):
    """A network that compares two pictures."""

    find: Callable[[], GivenWeights | None]
    load: Callable[..., Lpips | Dists]
    smallest_px: int
    variable: str
    digits: Mapping[str, str]
    """By the names of its files."""


_PAIR_NETWORKS = {
    LPIPS: _PairNetwork(find_lpips, load_lpips, lpips.SMALLEST_PX, LPIPS_VARIABLE, LPIPS_DIGITS),
    DISTS: _PairNetwork(find_dists, load_dists, dists.SMALLEST_PX, DISTS_VARIABLE, DISTS_DIGITS),
}


def absence_notes(contenders: Sequence[str], reason: str) -> Notes:
    """Return a note for each figure of features, with the reason why there is none."""
    titles = [figure.title for figure in FEATURE_FIGURES]
    text = f"{', '.join(titles[:-1])} and {titles[-1]} are not computed: {reason}"
    return [
        {"metric": figure.name, "contenders": list(contenders), "text": text}
        for figure in FEATURE_FIGURES
    ]


def reason_and_remedy(state: str, named: bool) -> str:
    """Return why a run has no such figures and what to do, the same text on every machine.

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
    contenders: Sequence[str], original: FeatureSet, how: FeatureSettings, weights: str
) -> Notes:
    """Return what a reader of these figures has to know.

    Args:
        contenders: names.
        original: the originals' features; a contender has as many.
        how: how the figures were computed.
        weights: what the weights are called.
    """
    notes: Notes = []

    def note(metric: str, text: str) -> None:
        notes.append({"metric": metric, "contenders": list(contenders), "text": text})

    count, held = original.count, len(original.held)
    if count < WIDTH:
        note(
            "fid",
            f"FID is of {count} pictures, fewer than its {WIDTH} features: it is too high by an "
            "amount that falls with their number, so compare it among these only.",
        )
    if subset_size(original, original, how.kid) >= held:
        note(
            "kid",
            f"KID's subsets hold all {held} pictures (subset_size is {how.kid.subset_size}): its "
            "deviation says nothing.",
        )
    if held < count:
        note("kid", f"KID, precision and recall are of {held} of the {count} pictures.")
    if held <= how.neighbours:
        for metric in ("precision", "recall"):
            note(
                metric,
                f"Precision and recall need more than {how.neighbours} pictures, got {held}.",
            )
    if weights != FILE:
        note("fid", f"FID and KID are of {weights}: they compare with no published figure.")
    return notes
