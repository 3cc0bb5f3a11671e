"""`superres benchmark`: a line of a paper's table, from originals alone."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from superres.benchmark.benchmark_sets import KNOWN, VARIABLE, find_set
from superres.benchmark.comparison import as_csv, as_latex, as_markdown, measured, published
from superres.benchmark.measured_sets import Model, agreement, mean_figures, measure_set
from superres.benchmark.papers_inputs import DRAWN, Protocol, papers_protocol
from superres.core.errors import SuperresError
from superres.core.hashing import folder_digest, sha256_of
from superres.core.params import closest, load_section
from superres.core.storage import write_text
from superres.degradation.chain import Degradation
from superres.degradation.config import DegradeParams
from superres.model.folder import DESCRIPTION, WEIGHTS, read_spec
from superres.model.found import find_model
from superres.restoration.picture import from_array, to_array
from superres.restoration.restorer import AUTO, Restorer, estimator_beside, load
from superres.restoration.self_ensemble import ENSEMBLES, averaged

NONE = "none"
SCALES = (1, 2, 3, 4, 8)
OUT = "reports/benchmark"
ROUNDING = 2
"""8-bit levels that inputs may differ by where they were rounded otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add(
        "sets",
        nargs="+",
        metavar="SET",
        help=f"folders of originals, or names below {VARIABLE}: {', '.join(KNOWN)}",
    )
    add("--model", metavar="DIR", help=f"model folder (default that of `restore`), or {NONE}")
    add("--label", help="the model's name in the table (default its folder, + with --ensemble)")
    add("--scale", type=int, choices=SCALES, help="default the model's")
    add("--samples", type=int, default=0, metavar="K", help="K samples too (default 0)")
    add(
        "--ensemble",
        type=int,
        choices=ENSEMBLES,
        default=1,
        help="the mean of so many estimates, flipped and turned (default 1)",
    )
    add("--seed", type=int, default=0, help="of the samples' noise (default 0)")
    add("--inputs", metavar="DIR", help="inputs of the set, instead of making them")
    add("--border", type=int, metavar="N", help="pixels left out at each edge (default the scale)")
    add("--degrade", metavar="PARAMS", help="make inputs as `degrade` of this params file says")
    add(
        "--entropy",
        action="append",
        default=[],
        metavar="NAME=0..1",
        help=f"of a corruption of --degrade, without it 0; {DRAWN}: all of them, by its seed",
    )
    add(
        "--blind",
        action="store_true",
        help="tell the model what its estimator says of each input instead of the true entropies",
    )
    add("--out", type=Path, default=Path(OUT), metavar="DIR", help="results (default %(default)s)")
    add("--device", help="cpu, cuda, cuda:1, ... (default SUPERRES_DEVICE, else a GPU if any)")


def run(args: argparse.Namespace) -> int:
    """Measure, write the tables and print one; return the exit status.

    Raises:
        SuperresError: a set, model or option that is wrong.
    """
    if args.samples < 0:
        raise SuperresError(f"--samples: must be at least 0, got {args.samples}")
    if args.border is not None and args.border < 0:
        raise SuperresError(f"--border: must be at least 0, got {args.border}")
    if args.inputs and len(args.sets) > 1:
        raise SuperresError(f"--inputs: are of one set, got {len(args.sets)}")
    if args.blind and args.model == NONE:
        raise SuperresError(f"--blind: needs a model, got --model {NONE}")
    if args.inputs and args.degrade:
        raise SuperresError("--degrade: makes inputs, which --inputs gives")
    if args.model is None:
        args.model = find_model().folder
    protocol = _protocol(args, _scale(args))
    sets = [find_set(word, protocol.scale, args.inputs) for word in args.sets]
    if args.degrade:  # the inputs that come with sets are made otherwise
        sets = [
            chosen._replace(subjects=[one._replace(low=None) for one in chosen.subjects])
            for chosen in sets
        ]
    names = [chosen.name for chosen in sets]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SuperresError(f"{twice[0]}: two sets have this name, which results are kept under")
    model = None if args.model == NONE else _model(args)
    records = [measure_set(chosen, protocol, model, args.out) for chosen in sets]
    found = {record["set"]: mean_figures(record) for record in records}
    label = args.label or Path(args.model).resolve().name + "+" * (args.ensemble > 1)
    lines = published(protocol.scale, names) if protocol.classical else []
    lines += measured(found, label)
    markdown = as_markdown(lines, names, protocol.scale)
    base = args.out / f"x{protocol.scale}"
    write_text(base.with_suffix(".md"), markdown)
    write_text(base.with_suffix(".csv"), as_csv(lines, names, protocol.scale))
    write_text(base.with_suffix(".tex"), as_latex(lines, names, protocol.scale))
    print(markdown)
    for record in records:
        _describe(record)
    if args.model != NONE:
        trained = read_spec(args.model).degradation.get("downsampling", "area")
        if trained != protocol.degradation.downsampling:
            print(f"note: the model was trained on inputs of downsampling {trained!r}")
    print(f"written: {base}.md, {base}.csv, {base}.tex")
    return 0


def _describe(record: dict[str, Any]) -> None:
    """Print how many pictures a set has and where its inputs are from."""
    name, count = record["set"], len(record["pictures"])
    print(f"{name}: {count} pictures, inputs {record['inputs']}")
    if agreed := agreement(record):
        share, most = agreed
        print(
            f"  {100 * share:.2f} % of their values are as made here, the others {most} off at most"
        )
        if most > ROUNDING:
            print("note: these inputs are made otherwise; the published lines are not of them")
    if name in KNOWN and KNOWN[name].pictures != count:
        print(f"note: {name} of papers has {KNOWN[name].pictures} pictures")


def _scale(args: argparse.Namespace) -> int:
    if args.model == NONE:
        if args.scale is None and not args.degrade:
            raise SuperresError(f"--scale: is needed with --model {NONE}")
        return int(args.scale or load_section("degrade", DegradeParams, args.degrade).scale)
    scale = read_spec(args.model).scale
    if args.scale not in (None, scale):
        raise SuperresError(f"--scale: the model of {args.model} enlarges {scale} times")
    return scale


def _protocol(args: argparse.Namespace, scale: int) -> Protocol:
    """Return the papers' protocol, or that of a params file at the entropies asked for."""
    if not args.degrade:
        if args.entropy:
            raise SuperresError("--entropy: belongs to a corruption of --degrade PARAMS")
        return papers_protocol(scale, args.border)
    degradation = Degradation.of(load_section("degrade", DegradeParams, args.degrade))
    if degradation.scale != scale:
        raise SuperresError(f"{args.degrade}: degrade.scale is {degradation.scale}, wanted {scale}")
    entropies = dict.fromkeys(degradation.names, 0.0)
    if DRAWN in args.entropy:
        if len(args.entropy) > 1:
            raise SuperresError(f"--entropy: {DRAWN} is of all corruptions and stands alone")
        return Protocol(degradation, border=args.border, drawn=True)
    for text in args.entropy:
        name, _, value = text.partition("=")
        if name not in entropies:
            known = ", ".join(entropies) or "none"
            raise SuperresError(
                f"--entropy: {args.degrade} has no corruption {name!r}, only {known}"
                f"{closest(name, list(entropies))}"
            )
        entropies[name] = _entropy(text, value)
    return Protocol(degradation, entropies, args.border)


def _entropy(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise SuperresError(f"--entropy: must be NAME=VALUE with a value from 0 to 1, got {text!r}")
    return number


def _model(args: argparse.Namespace) -> Model:
    restorer = load(args.model, device=args.device)
    how = restorer.sampling(estimate=False) if args.samples else None
    restorer.check(how)
    if args.blind and restorer.corruptions:
        restorer.estimator()  # a missing one ends it before anything is measured

    def restore(low: np.ndarray, true: Mapping[str, float]) -> Iterator[tuple[str, np.ndarray]]:
        picture = from_array(low)
        entropies = (
            restorer.entropies(picture, {}, AUTO)
            if args.blind
            else {name: true.get(name, 0.0) for name in restorer.corruptions}
        )
        estimate = averaged(
            picture, lambda side: restorer.run(side, entropies, None), args.ensemble
        )
        yield "estimate", to_array(estimate, low)
        for repeat in range(args.samples):
            restored = restorer.run(picture, entropies, how, args.seed, repeat)
            yield f"sample-{repeat + 1}", to_array(restored, low)

    return Model(restore, _identity(args, restorer))


def _identity(args: argparse.Namespace, restorer: Restorer) -> dict[str, object]:
    files = {name: sha256_of(Path(args.model) / name) for name in (DESCRIPTION, WEIGHTS)}
    identity: dict[str, object] = {**files, "samples": args.samples}
    if args.ensemble > 1:
        identity["ensemble"] = args.ensemble
    if args.blind and restorer.corruptions:
        identity["estimator"] = folder_digest(estimator_beside(args.model))
    if args.samples:
        how = restorer.sampling(estimate=False)
        assert how is not None
        identity |= {"seed": args.seed, **asdict(how), "drop": list(how.drop)}
    return identity
