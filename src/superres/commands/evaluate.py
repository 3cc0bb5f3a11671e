"""`superres evaluate`: measure restored pictures against their originals, from any program."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from superres.core.errors import SuperresError
from superres.core.storage import write_csv, write_json
from superres.evaluation.folders import (
    Measured,
    Mismatch,
    Pair,
    left_over,
    measure_folders,
    pair_folders,
    rule_between,
    subfolders,
)
from superres.evaluation.pairing import SAME, Pattern, Rule
from superres.metrics.catalog import FIGURES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add(
        "folders",
        nargs="+",
        type=Path,
        metavar="RESTORED_DIR ORIGINAL_DIR",
        help="restored pictures and their originals; several pairs of folders are several sets, "
        "and so are subfolders of the same names",
    )
    add(
        "--border-crop",
        type=int,
        default=0,
        metavar="N",
        help="pixels left out at each edge for PSNR and SSIM (default 0)",
    )
    add(
        "--modcrop",
        type=int,
        default=1,
        metavar="N",
        help="leave out what is beyond multiples of N pixels, below and on the right",
    )
    add(
        "--suffix",
        metavar="TEXT",
        help="what restored pictures' names end in beyond their originals' (--suffix=-1 for "
        "NAME-1.png); by default what pairs all",
    )
    add("--pattern", metavar="P", help="the same as a pattern, as in 'sr_{name}_x2'")
    add("--original-pattern", metavar="P", help="of the originals' names, as in '{name}_HR'")
    add("--matlab", action="store_true", help="round luma to 8 bits, as papers' tables have it")
    add("--csv", type=Path, metavar="OUT", help="write the figures of each picture")
    add("--json", type=Path, metavar="OUT", help="write figures, intervals, how, and notes")


class _Set(NamedTuple):
    """Two folders, and how their pictures are called."""

    name: str
    pairs: list[Pair]
    rule: Rule
    left_over: int


def run(args: argparse.Namespace) -> int:
    """Measure and print; return the exit status, 1 after listing mismatches.

    Raises:
        SuperresError: an argument or given weights that are wrong.
    """
    if args.border_crop < 0:
        raise SuperresError(f"--border-crop: must be at least 0, got {args.border_crop}")
    if args.modcrop < 1:
        raise SuperresError(f"--modcrop: must be at least 1, got {args.modcrop}")
    rule = _given_rule(args)
    sets, faults = [], []
    for name, restored, original in _folders(args.folders):
        try:
            used = rule or rule_between(restored, original)
            pairs = pair_folders(restored, original, args.border_crop, used, args.modcrop)
            sets.append(_Set(name, pairs, used, left_over(restored, used.restored)))
        except Mismatch as error:
            faults.append(str(error))
    if faults:
        print("\n".join(faults), file=sys.stderr)
        return 1
    measured = [measure_folders(one.pairs, args.border_crop, args.matlab) for one in sets]
    for one, found in zip(sets, measured, strict=True):
        if one.rule != SAME:
            found.summary["measured"]["names"] = str(one.rule)
        if args.modcrop > 1:
            found.summary["measured"]["modcrop_px"] = args.modcrop
    _write(args, sets, measured)
    return 0


def _write(args: argparse.Namespace, sets: Sequence[_Set], measured: Sequence[Measured]) -> None:
    several = len(sets) > 1
    if args.csv:
        tables = [
            found.per_image.assign(set=one.name)[["set", *found.per_image.columns]]
            for one, found in zip(sets, measured, strict=True)
        ]
        write_csv(args.csv, pd.concat(tables) if several else measured[0].per_image)
    summaries = {one.name: found.summary for one, found in zip(sets, measured, strict=True)}
    means = mean_of_sets(list(summaries.values()))
    if args.json:
        write_json(
            args.json, {"sets": summaries, "mean": means} if several else summaries[sets[0].name]
        )
    for one, found in zip(sets, measured, strict=True):
        if several:
            print(f"== {one.name}")
        if one.rule != SAME:
            print(f"paired by name: {one.rule}")
        if one.left_over:
            print(f"{one.left_over} pictures are called otherwise and left out")
        print(as_text(found.summary))
    if several:
        print(as_table(summaries, means))


def _folders(paths: Sequence[Path]) -> list[tuple[str, Path, Path]]:
    """Return the sets: a name, restored pictures, originals.

    Raises:
        SuperresError: folders that are no pairs.
    """
    if len(paths) % 2:
        raise SuperresError(
            f"folders come in pairs, RESTORED_DIR ORIGINAL_DIR, got {len(paths)}: "
            f"{' '.join(map(str, paths))}"
        )
    found = []
    for restored, original in zip(paths[::2], paths[1::2], strict=True):
        names = subfolders(restored, original)
        found += [(name, restored / name, original / name) for name in names]
        if not names:
            found.append((original.resolve().name, restored, original))
    names = [name for name, _, _ in found]
    return [
        (name if names.count(name) == 1 else f"{name} ({restored})", restored, original)
        for name, restored, original in found
    ]


def _given_rule(args: argparse.Namespace) -> Rule | None:
    if args.suffix is not None and args.pattern is not None:
        raise SuperresError("--suffix and --pattern: one of them says how pictures are called")
    if args.suffix is None and args.pattern is None and args.original_pattern is None:
        return None
    restored = Pattern(suffix=args.suffix or "")
    if args.pattern is not None:
        restored = Pattern.parse(args.pattern, "--pattern")
    if args.original_pattern is None:
        return Rule(restored)
    return Rule(restored, Pattern.parse(args.original_pattern, "--original-pattern"))


def mean_of_sets(summaries: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Return each figure's mean over sets, each counting alike; None where a set has none."""
    names = dict.fromkeys(name for summary in summaries for name in summary["figures"])
    values = {name: [summary["figures"].get(name) for summary in summaries] for name in names}
    return {name: None if None in row else fmean(row) for name, row in values.items()}


def as_table(summaries: dict[str, dict[str, Any]], means: dict[str, float | None]) -> str:
    """Return a row per set and their mean, for a terminal: pictures, then figures that all have."""
    names = [name for name, mean in means.items() if mean is not None]
    rows = [["set", "pictures", *names]]
    for name, summary in summaries.items():
        rows.append(
            [name, str(summary["images"]), *(f"{summary['figures'][n]:.4f}" for n in names)]
        )
    pictures = sum(summary["images"] for summary in summaries.values())
    rows.append(["mean of sets", str(pictures), *(f"{means[n]:.4f}" for n in names)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def as_text(summary: dict[str, Any]) -> str:
    """Return the figures for a terminal: a line each, with its interval, then the notes."""
    units = {figure.name: figure.unit for figure in FIGURES}
    lines = [f"{summary['images']} pictures"]
    for name, value in summary["figures"].items():
        if value is None:
            lines.append(f"{name:12} -")
            continue
        ends = summary["intervals"].get(name)
        interval = f"  95 %: {ends[0]:.4f} to {ends[1]:.4f}" if ends else ""
        lines.append(f"{name:12} {value:.4f} {units.get(name, '')}{interval}".rstrip())
    texts = dict.fromkeys(note["text"] for note in summary["notes"])
    return "\n".join([*lines, *(f"note: {text}" for text in texts)])
