"""Starting a stage's processes: an affair of the machine, never of an experiment's params."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import sys

import torch

from superres.core.device import VARIABLE as DEVICE_VARIABLE
from superres.core.errors import SuperresError

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
        SystemExit: the processes have ended; with their status.
    """
    if "RANK" in os.environ:
        _end_with_launcher()  # it was one that started this process
        return
    if command := shlex.split(os.environ.get(LAUNCHER_VARIABLE, "")):
        try:
            os.execvp(command[0], [*command, script])
        except OSError as error:
            raise SuperresError(f"{LAUNCHER_VARIABLE}: {command[0]}: {error.strerror}") from error
    if (count := processes_wanted()) > 1:
        raise SystemExit(_torchrun(count, script))


def _end_with_launcher() -> None:
    """Let the system kill this process with the one that started it, even one killed itself.

    Left behind, it would work on beside the processes that the next run starts.
    """
    if sys.platform == "linux":
        set_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def _torchrun(count: int, script: str) -> int:
    """Run a script in processes of this machine and return the status that says how they ended.

    As the command of that name does, but without its traceback, and with the status that a single
    process would have.
    """
    # Imported here, since they take a second that a single process need not wait.
    from torch.distributed import run  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.api import SignalException  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun would, but without its warning
    try:
        run.main(["--standalone", f"--nproc-per-node={count}", script])
    except SignalException as stopped:
        return 128 + stopped.sigval
    except ChildFailedError as failed:
        status = failed.get_first_failure()[1].exitcode
        return status if status > 0 else 128 - status  # negative: the signal that ended it
    return 0


def processes_wanted() -> int:
    """Return how many processes this machine is to start.

    Raises:
        SuperresError: `SUPERRES_PROCESSES` is not a positive whole number.
    """
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
