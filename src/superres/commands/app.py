"""`superres app`: a page on this machine for people who do not type."""

from __future__ import annotations

import argparse
import signal
import threading
from typing import get_args

from superres import __version__
from superres.app.found_models import found_models
from superres.app.server import LOOPBACK, serving
from superres.app.settings import Limits
from superres.core.errors import SuperresError
from superres.core.params import Precision
from superres.core.terminal import echo
from superres.restoration.bounds import Tiling

PORTS = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    usual, limits = Tiling(), Limits()
    add(
        "--model",
        action="append",
        default=[],
        metavar="DIR",
        help="a model folder to offer, the first to begin with; beside those found in models/",
    )
    add("--host", default=LOOPBACK[0], help="address to bind to (default: this machine alone)")
    add("--port", type=int, help="default: the first that is free from 7860 on")
    add("--open", action="store_true", help="open the page in the browser")
    add(
        "--max-megabytes",
        type=float,
        default=limits.megabytes,
        help="of an upload (default %(default)g)",
    )
    add(
        "--max-megapixels",
        type=float,
        default=limits.megapixels,
        help="of an upload (default %(default)g)",
    )
    add("--at-once", type=int, default=1, metavar="N", help="restorations at one time (default 1)")
    add("--window", type=int, default=usual.window, help="px at once (default %(default)s)")
    add("--batch", type=int, default=usual.batch, help="windows at once (default %(default)s)")
    add("--device", help="cpu, cuda, cuda:1, ... (default SUPERRES_DEVICE, else a GPU if any)")
    add("--precision", choices=get_args(Precision), default="fp32", help="default %(default)s")


def run(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C or a signal to end.

    Raises:
        SuperresError: a value out of range, no model, no Gradio, a port that is taken.
    """
    for name in ("max_megabytes", "max_megapixels", "at_once"):
        if not getattr(args, name) > 0:
            flag = f"--{name.replace('_', '-')}"
            raise SuperresError(f"{flag}: must be above 0, got {getattr(args, name)}")
    if args.port is not None and not 1 <= args.port <= PORTS:
        raise SuperresError(f"--port: must be between 1 and {PORTS}, got {args.port}")
    models = found_models(args.model)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with serving(
        models,
        Limits(args.max_megapixels, args.max_megabytes),
        __version__,
        host=args.host,
        port=args.port,
        at_once=args.at_once,
        open_browser=args.open,
        flags=_flags(args),
        device=args.device,
        window=args.window,
        batch=args.batch,
        precision=args.precision,
    ) as url:
        echo(f"superres app: {url} (Ctrl-C ends it)")
        if args.host not in LOOPBACK:
            echo(
                f"  --host {args.host}: everybody who can reach this machine there can use the\n"
                "  page, upload pictures and keep its processor busy; there is no password,\n"
                "  and no encryption on the way"
            )
        ended.wait()
    return 0


def _flags(args: argparse.Namespace) -> list[str]:
    """Return the flags that `superres restore` needs to do as the page."""
    flags = []
    for name, usual in (
        ("window", Tiling().window),
        ("batch", Tiling().batch),
        ("device", None),
        ("precision", "fp32"),
    ):
        value = getattr(args, name)
        if value != usual:
            flags += [f"--{name}", str(value)]
    return flags
