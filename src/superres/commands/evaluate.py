"""`superres evaluate`: measure restored pictures against their originals, from any program."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from superres.core.errors import SuperresError
from superres.core.storage import write_csv, write_json
from superres.evaluation.folders import Mismatch, measure_folders, pair_folders
from superres.metrics.catalog import FIGURES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("restored", type=Path, metavar="RESTORED_DIR", help="restored pictures")
    parser.add_argument(
        "original", type=Path, metavar="ORIGINAL_DIR", help="originals, with the same names"
    )
    parser.add_argument(
        "--border-crop",
        type=int,
        default=0,
        metavar="N",
        help="pixels left out at each edge for PSNR and SSIM (default 0)",
    )
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write the figures of each picture")
    parser.add_argument(
        "--json", type=Path, metavar="OUT", help="write figures, intervals, how, and notes"
    )


def run(args: argparse.Namespace) -> int:
    """Measure and print; return the exit status, 1 after listing mismatches.

    Raises:
        SuperresError: an argument or given weights that are wrong.
    """
    if args.border_crop < 0:
        raise SuperresError(f"--border-crop: must be at least 0, got {args.border_crop}")
    try:
        pairs = pair_folders(args.restored, args.original, args.border_crop)
    except Mismatch as error:
        print(error, file=sys.stderr)
        return 1
    measured = measure_folders(pairs, args.border_crop)
    if args.csv:
        write_csv(args.csv, measured.per_image)
    if args.json:
        write_json(args.json, measured.summary)
    print(as_text(measured.summary))
    return 0


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
