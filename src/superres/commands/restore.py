"""`superres restore`: a person's own pictures, enlarged and repaired."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from PIL import Image

from superres import __version__
from superres.core.errors import SuperresError
from superres.core.hashing import folder_digest, text_digest
from superres.core.images import register_heif
from superres.core.precision import remark
from superres.core.progress import progress_bar
from superres.core.terminal import echo
from superres.model.found import described, find_model
from superres.restoration.entropy_sheet import DELAY, entropy_sheet
from superres.restoration.formats import HEIF, as_png, target
from superres.restoration.job import Tiling
from superres.restoration.order import Order, carry_out, write_restored
from superres.restoration.picture_files import PictureFile, read_picture, write_picture
from superres.restoration.planning import Identity, Plan, check_writable, free, identity, plan
from superres.restoration.record import Record
from superres.restoration.restorer import AUTO, Restorer, estimator_beside, load
from superres.restoration.self_ensemble import ENSEMBLES, check_ensemble
from superres.sampling.config import SamplerName, Spacing
from superres.sampling.finishing import Finish
from superres.training.config import Precision

MEGA = 1e6
SAMPLING_OPTIONS = ("sampler", "steps", "spacing", "temperature", *Finish._fields, "estimate")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that do not depend on the model."""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="pictures, folders of them, or globs")
    add("output", metavar="OUTPUT", help="a picture, or a folder for several")
    add(
        "--model",
        metavar="DIR",
        help="model folder (default: models/best where it is, else the model in the box)",
    )
    add("--fast", action="store_true", help="by the model's student, in few evaluations")
    add("--entropy", choices=[AUTO], help="auto: estimate the entropies that are not given")
    add("--entropy-estimator", metavar="DIR", help="estimator for auto (default beside the model)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--estimate",
        action="store_true",
        default=None,
        help="the mean of all fitting pictures, in one step",
    )
    kind.add_argument(
        "--sample",
        dest="estimate",
        action="store_false",
        help="one of the fitting pictures; without either, what the model's folder says",
    )
    add(
        "--ensemble",
        type=int,
        choices=ENSEMBLES,
        default=1,
        help="the mean of so many estimates, flipped and turned: a little truer",
    )
    add(
        "--steps", type=int, help="sampling steps; by default, like the next three, the model's own"
    )
    samplers, spacings = get_args(SamplerName), get_args(Spacing)
    add("--sampler", choices=samplers, help="how noise becomes a picture")
    add("--spacing", choices=spacings, help="which timesteps are visited")
    add("--temperature", type=float, metavar="0..1", help="factor on the noise; less is smoother")
    add(
        "--fidelity",
        type=float,
        metavar="0..1",
        help="1: samples differ from the estimate in the finest texture alone",
    )
    add("--coring", type=float, metavar="LEVELS", help="of 255, below which texture is left out")
    add("--sharpening", type=float, metavar="0..2", help="share of detail that samples get more")
    add("--ceiling", type=float, metavar="RATIO", help="of texture to that around it; 0: any")
    add("--seed", type=int, default=0, help="the same seed gives the same picture (default 0)")
    add("--samples", type=int, default=1, metavar="K", help="write K, as NAME-1.png, NAME-2.png ..")
    add(
        "--sheet",
        "--surf",
        action="store_true",
        help="write grids over entropies to choose from instead",
    )
    usual = Tiling()
    add("--window", type=int, help=f"largest square window, px (default {usual.window})")
    add("--batch", type=int, default=usual.batch, help="such windows at once (default %(default)s)")
    add("--device", help="cpu, cuda, cuda:1, ... (default SUPERRES_DEVICE, else a GPU if any)")
    add("--precision", choices=get_args(Precision), default="fp32", help="default %(default)s")
    add("--compile", action="store_true", help="torch.compile: minutes first, for many pictures")
    replace = parser.add_mutually_exclusive_group().add_argument
    replace("--overwrite", action="store_true", help="make all anew, replace outputs that exist")
    replace("--update", action="store_true", help="replace outputs made of or with other things")


def add_model_arguments(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """Declare a flag for each corruption that the model on the command line knows.

    Raises:
        SuperresError: no model there.
    """
    group = parser.add_argument_group(
        "entropies", "how strongly the input was corrupted, from 0 to 1; without a flag 0"
    )
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--model")
    try:
        names = find_model(first.parse_known_args(arguments)[0].model).spec.entropies
    except SuperresError as error:
        if {"-h", "--help"} & set(arguments):
            group.description = f"a flag for each corruption of the model ({error})"
            return
        raise
    for name in names:
        flag = f"--{name.replace('_', '-')}"
        if flag in parser._option_string_actions:
            flag = f"--entropy-of{flag[1:]}"
        group.add_argument(flag, dest=f"entropy of {name}", type=float, metavar="0..1")


def run(args: argparse.Namespace) -> int:
    """Restore, print a line per picture and a summary; return 1 if any failed.

    Raises:
        SuperresError: a model, option or input that is wrong as a whole.
    """
    if args.samples < 1:
        raise SuperresError(f"--samples: must be at least 1, got {args.samples}")
    planned = plan(args.inputs, args.output)
    for folder in {out.parent for _, out in planned.tasks}:
        check_writable(folder)
    if args.model is None:
        found = find_model()
        args.model = found.folder
        echo(f"model: {described(found)}")
    restorer = load(
        args.model,
        device=args.device,
        entropy_estimator=args.entropy_estimator,
        window=args.window,
        batch=args.batch,
        precision=args.precision,
        compiled=args.compile,
        fast=args.fast,
    )
    if about := remark("--precision", args.precision, restorer.model.device):
        echo(about, sys.stderr)
    command = _Command(args, restorer)
    restorer.check(command.how)
    if args.entropy == AUTO:
        restorer.estimator()
    return command.restore_all(planned)


_Output = tuple[int, Path, Callable[[bytes], None] | None]
"""A sample's number, where it goes, and what is called with its bytes before they are written."""


class _Command:
    """What the command line asks for, carried out file by file."""

    def __init__(self, args: argparse.Namespace, restorer: Restorer) -> None:
        self.args = args
        self.restorer = restorer
        asked = {name: getattr(args, name) for name in SAMPLING_OPTIONS}
        self.how = restorer.sampling(**asked)
        given = {name: getattr(args, f"entropy of {name}") for name in restorer.corruptions}
        self.given = {name: value for name, value in given.items() if value is not None}
        for name, value in self.given.items():
            if not 0 <= value <= 1:
                raise SuperresError(f"--{name}: must be between 0 and 1, got {value}")
        check_ensemble(args.ensemble, self.how is None)
        self.inputs: dict[Identity, Path] = {}
        self.planned: set[Path] = set()
        self.made: dict[Identity | None, Path] = {}
        """What each output was made of; the file system says whether two names are one."""
        self.pixels = 0
        self.record = Record(None, "")

    def settings(self) -> str:
        """Return a digest of all that a picture follows from, but for the input and rounding."""
        args = self.args
        estimator = None
        if args.entropy == AUTO:
            estimator = folder_digest(args.entropy_estimator or estimator_beside(args.model))
        facts = {
            "model": folder_digest(args.model),
            "estimator": estimator,
            "entropies": self.given,
            "sampling": None if self.how is None else asdict(self.how),
            "seed": args.seed,
            "samples": args.samples,
            "sheet": args.sheet,
            "window": self.restorer.tiling.window,
            "precision": args.precision,
        }
        if args.ensemble > 1:
            facts["ensemble"] = args.ensemble
        if args.fast:  # told apart by their sampling alone, two would look the same
            facts["fast"] = True
        return text_digest(json.dumps(facts, sort_keys=True))

    def restore_all(self, planned: Plan) -> int:
        """Restore every picture, whatever becomes of the others; return the exit status."""
        begin = time.perf_counter()
        failed = done = 0
        if planned.folder is not None:
            trusted = not self.args.overwrite
            self.record = Record(planned.folder, self.settings(), trusted)
        self.inputs = planned.inputs()
        self.planned = {out for _, out in planned.tasks}
        for number, (source, out) in enumerate(planned.tasks, start=1):
            place = f"{number}/{len(planned.tasks)} " if len(planned.tasks) > 1 else ""
            try:
                lines = self.restore_file(source, out, f"{place}{source.name}")
            except (SuperresError, OSError, MemoryError, RuntimeError) as error:
                reason = _reason(error)
                if reason is None:
                    raise
                failed += 1
                message = reason if str(source) in reason else f"{source}: {reason}"
                echo(f"failed: {message}", sys.stderr)
            else:
                if lines:
                    echo("\n  note: ".join(lines))
                done += not lines
        self.record.close()
        seconds = time.perf_counter() - begin
        restored = len(planned.tasks) - failed - done
        summary = f"{restored} restored, {self.pixels / MEGA:.2f} megapixels in {seconds:.1f} s"
        if done:
            summary += f"; {done} done already"
        if failed:
            summary += f"; {failed} failed"
        if planned.passed_over:
            summary += f"; {planned.passed_over} other files passed over"
        echo(summary)
        return 1 if failed else 0

    def restore_file(self, source: Path, out: Path, label: str) -> list[str]:
        """Restore one file and return what is to be said: a line, and notes; none if it is done.

        Raises:
            SuperresError: it cannot be read, or must not be written.
            OSError: it cannot be written.
        """
        samples = 1 if self.args.sheet else self.args.samples
        done = self.record.done(source, out, samples)
        self.made |= {identity(each): source for each in done.values()}
        if len(done) == samples:
            return []
        file = read_picture(source)
        able = as_png(out) if self.args.sheet else target(out, file.picture, self.restorer.scale)
        if able != out and able in self.planned:  # a.gif leaves a.png to a.png
            able = out.with_name(f"{out.name}.png")
        outs = self._outputs(source, able, set(done.values()))
        entropies = self.restorer.entropies(file.picture, self.given, self.args.entropy)
        make = self._sheet if self.args.sheet else self._sample
        todo = [
            (n, each, self.record.recording(source, out, n, each))
            for n, each in enumerate(outs)
            if n not in done
        ]
        notes = make(file, todo, entropies, label)
        self.made |= {identity(each): source for each in outs}
        line = ", ".join([self._size(file), *self._facts(entropies)])
        names = ", ".join(str(each) for each in outs)
        return [f"{source} -> {names}: {line}", *file.notes, *notes]

    def _outputs(self, source: Path, out: Path, done: set[Path]) -> list[Path]:
        count = self.args.samples
        outs = [out]
        if count > 1 and not self.args.sheet:
            outs = [out.with_name(f"{out.stem}-{n}{out.suffix}") for n in range(1, count + 1)]
        replaced = self.args.overwrite or self.args.update
        for each in outs:
            if each in done:
                continue
            if identity(each) in self.made:
                made_of = self.made[identity(each)]
                raise SuperresError(f"{each}: has just been made of {made_of}")
            free(source, each, replaced, self.inputs)
            if each.suffix.lower() in HEIF:
                register_heif(each)
        return outs

    def _sample(
        self, file: PictureFile, todo: Sequence[_Output], entropies: dict[str, float], label: str
    ) -> tuple[str, ...]:
        total = self.restorer.windows(file.picture, self.how) * len(todo) * self.args.ensemble
        notes: tuple[str, ...] = ()
        with progress_bar(total, label, "window", leave=False, delay=DELAY) as bar:
            for repeat, out, note in todo:
                order = Order(entropies, self.how, self.args.seed, repeat, self.args.ensemble)
                restored = carry_out(self.restorer, file.picture, order, bar.update)
                notes = write_restored(out, restored, file, self.restorer, order, __version__, note)
                self.pixels += restored.size[0] * restored.size[1]
        return notes

    def _sheet(
        self, file: PictureFile, todo: Sequence[_Output], entropies: dict[str, float], label: str
    ) -> tuple[str, ...]:
        ((_, out, note),) = todo
        sheet = entropy_sheet(
            self.restorer, file.picture, entropies, self.how, self.args.seed, label
        )
        self.pixels += sheet.size[0] * sheet.size[1]
        return write_picture(out, sheet, PictureFile(sheet, {"text": {}}, Image.Exif()), "", note)

    def _size(self, file: PictureFile) -> str:
        if self.args.sheet:
            return "a sheet of entropies"
        height, width = (edge * self.restorer.scale for edge in file.picture.size)
        return f"{width} x {height}"

    def _facts(self, entropies: dict[str, float]) -> list[str]:
        if self.args.sheet:
            return []
        guessed = set() if self.args.entropy is None else set(entropies) - set(self.given)
        return [
            f"{name} {value:g}{' (estimated)' if name in guessed else ''}"
            for name, value in entropies.items()
        ]


def _reason(error: Exception) -> str | None:
    """Return why a picture failed, or None for what is no fault of the picture's."""
    if isinstance(error, RuntimeError):
        # torch has a kind of error for a GPU's memory alone; what it says of a CPU's depends.
        if not re.search("out of memory|t allocate memory|not enough memory", str(error)):
            return None
        return "not enough memory; a smaller --window or --batch needs less"
    return str(error) or type(error).__name__
