"""Starting the training's processes: an affair of the machine, never of an experiment's params."""

from __future__ import annotations

import os
import shlex
import sys

import torch

from superres.device import VARIABLE as DEVICE_VARIABLE
from superres.errors import SuperresError

LAUNCHER_VARIABLE = "SUPERRES_LAUNCHER"
PROCESSES_VARIABLE = "SUPERRES_PROCESSES"


def first_process() -> bool:
    """Whether this is the only process, or the first of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def launch(script: str) -> None:
    """Give way to a launcher that runs the script on all processes; return if one is enough.

    `SUPERRES_LAUNCHER` is a command that takes the script as its last argument. Without it,
    torchrun starts `SUPERRES_PROCESSES` on this machine; without that, one for each GPU it sees.

    Raises:
        SuperresError: a number that is none, or a command that cannot be run.
    """
    if "RANK" in os.environ:
        return  # it was a launcher that started this process
    command = shlex.split(os.environ.get(LAUNCHER_VARIABLE, ""))
    if not command:
        count = processes_wanted()
        if count == 1:
            return
        command = [sys.executable, "-m", "torch.distributed.run"]
        command += ["--standalone", f"--nproc-per-node={count}"]
        # As torchrun would, but without its warning.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        os.execvp(command[0], [*command, script])
    except OSError as error:
        raise SuperresError(f"{LAUNCHER_VARIABLE}: {command[0]}: {error.strerror}") from error


def processes_wanted() -> int:
    """Return how many processes one machine shall start."""
    text = os.environ.get(PROCESSES_VARIABLE, "")
    if text:
        if not text.isdecimal() or int(text) == 0:
            raise SuperresError(
                f"{PROCESSES_VARIABLE}: must be a positive whole number, got {text!r}"
            )
        return int(text)
    if os.environ.get(DEVICE_VARIABLE, "cuda") != "cuda":
        return 1
    return max(1, torch.cuda.device_count())
