"""`superres models`: the models there are, and which one is taken where none is named."""

from __future__ import annotations

import argparse

from superres.core.terminal import echo
from superres.model.folder import STUDENT
from superres.model.found import ESTIMATOR, Found, described, find_model, known_models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `superres models`."""
    parser.add_argument(
        "folders", nargs="*", metavar="DIR", help="model folders, or folders that hold some"
    )


def run(args: argparse.Namespace) -> int:
    """List models, the one that is taken marked.

    Raises:
        SuperresError: a folder without a model; no model at all.
    """
    taken = find_model().folder
    for found in known_models(args.folders):
        mark = "*" if found.where != "given" and found.folder == taken else " "
        echo(f"{mark} {described(found)}")
        echo(f"    {'; '.join(_details(found))}")
    echo("* is taken where no model is named")
    return 0


def _details(found: Found) -> list[str]:
    spec = found.spec
    size = sum(file.stat().st_size for file in found.folder.iterdir() if file.is_file())
    how = spec.sampling
    usual = "as asked, by default ddpm with 50 steps"
    if how is not None:
        usual = how.described()
    estimator = (found.folder.parent / ESTIMATOR).is_dir()
    return [
        f"{spec.model.kind}, {size / 1e6:.1f} MB",
        f"restores by {usual}",
        f"--fast: {'yes' if (found.folder / STUDENT).is_file() else 'no student in it'}",
        f"entropy auto: {'yes' if estimator else 'no estimator beside it'}",
    ]
