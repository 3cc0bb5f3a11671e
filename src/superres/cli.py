"""The command line: `superres COMMAND ...`.

A command is a module of `superres.commands` with `add_arguments(parser)` and `run(args) -> int`,
and a row here. Where flags depend on a model that other arguments name, the module also has
`add_model_arguments(parser, arguments)`. Only the module of the command that is asked for is
imported, so that `--help` takes no seconds for torch.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from superres import __version__
from superres.core.errors import SuperresError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 + SIGINT."""
BROKEN_PIPE = 141
"""The same with SIGPIPE."""


class Command(NamedTuple):
    """Where a command lives and what `superres --help` says of it."""

    module: str
    summary: str


COMMANDS = {
    "restore": Command(
        "superres.commands.restore",
        "enlarge and repair pictures of any size",
    ),
    "models": Command(
        "superres.commands.models",
        "list the models there are: in the box, in this checkout, in folders",
    ),
    "app": Command(
        "superres.commands.app",
        "restore pictures on a page in the browser of this machine",
    ),
    "import": Command(
        "superres.commands.import_weights",
        "make a model folder of DL-Art-School or guided-diffusion weights",
    ),
    "export": Command(
        "superres.commands.export_weights",
        "write a model for other programs: as ONNX, or weights as elsewhere",
    ),
    "likelihood": Command(
        "superres.commands.likelihood",
        "measure the bits per dimension of the test tiles, term by term",
    ),
    "evaluate": Command(
        "superres.commands.evaluate",
        "measure a folder of restored pictures against a folder of originals",
    ),
    "benchmark": Command(
        "superres.commands.benchmark",
        "measure a model as papers do, on their sets, beside their figures",
    ),
    "inspect": Command(
        "superres.commands.inspect",
        "check and describe a folder of tiles, pairs or samples",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    0 is success; 1 an error that the user can mend, in one line on stderr; 130 an interrupt;
    141 that nobody reads what is printed any more (`superres inspect DIR | head -1`).
    A command line that cannot be understood ends in argparse's SystemExit(2).
    """
    if sys.platform == "darwin":  # read when torch is loaded, which commands do
        os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.stderr is None:  # closed by whoever started us; progress and errors go nowhere
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process lives
    try:
        args = _parser(arguments).parse_args(arguments)
        status = _module(COMMANDS[args.command]).run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # What is left in the buffer goes nowhere, so that Python need not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (SuperresError, OSError) as error:
        # OSError: a full disk or a folder without permission, whose message names the file.
        print(f"superres {arguments[0]}: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _module(command: Command) -> ModuleType:
    """Import a command's module.

    torch alone makes hundreds of thousands of objects that live as long as the process. Looking
    through them for garbage, while more come and at the end, takes a quarter of what a command
    needs to begin and end, so they are left out for good.
    """
    known, enabled = "torch" in sys.modules, gc.isenabled()
    gc.disable()
    try:
        return import_module(command.module)
    finally:
        if enabled:
            gc.enable()
        if not known:
            gc.freeze()


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="superres", description="Diffusion super-resolution.")
    parser.add_argument("--version", action="version", version=f"superres {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        described = f"{command.summary[0].upper()}{command.summary[1:]}."
        subparser = commands.add_parser(name, help=command.summary, description=described)
        # The only options before a command end the program, so it is the first word.
        if arguments[:1] == [name]:
            module = _module(command)
            module.add_arguments(subparser)
            if hasattr(module, "add_model_arguments"):
                module.add_model_arguments(subparser, arguments[1:])
    return parser
