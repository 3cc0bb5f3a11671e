"""Runs of stages in forks of one process that has loaded torch once, killed where a test says.

A stage's own start takes seconds, nearly all of them imports. Here `story` starts one process that
imports what the stages need and then forks for every run: each is a process with an exit status
of its own, and can be killed like any other.
"""

from __future__ import annotations

import faulthandler
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 100.0
"""Seconds that a run may take."""


class Run(NamedTuple):
    """One run of a stage.

    Args:
        folder: where.
        hook: code that is run before, with `after` at hand.
        processes: of which the run consists, joined as torchrun joins them.
        kill_after: seconds after which the first process is killed, if it still runs.
        environment: further variables.
        stage: the script.
        own_code: whether it is the folder's `stages` and `src` that run, not this checkout's.
    """

    folder: str
    hook: str = ""
    processes: int = 1
    kill_after: float | None = None
    environment: dict[str, str] = {}  # noqa: RUF012 - never changed
    stage: str = "train.py"
    own_code: bool = False


class End(NamedTuple):
    """How a run ended."""

    statuses: list[int]
    """Of its processes; negative is the signal that ended one."""
    output: str
    seconds: float

    @property
    def status(self) -> int:
        """Of the first process."""
        return self.statuses[0]


def story(runs: list[Run], environment: dict[str, str]) -> list[End]:
    """Return how runs ended, one after the other."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps([run._asdict() for run in runs]),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE * len(runs),
    )
    assert done.returncode == 0, done.stderr
    return [End(*end) for end in json.loads(done.stdout)]


def after(
    owner: Any,
    name: str,
    times: int,
    number: int = signal.SIGKILL,
    spoil: Callable[..., object] = lambda *_: None,
    when: Callable[..., bool] = lambda *_: True,
) -> None:
    """Let a process send itself a signal after some calls of a function: at once, in its midst.

    Args:
        owner: class or module of the function.
        name: of the function.
        times: how many calls, of those that count.
        number: of the signal.
        spoil: is called with the last call's arguments before.
        when: whether a call counts, by its arguments.
    """
    real, calls = getattr(owner, name), []

    def call(*given: Any, **named: Any) -> Any:
        result = real(*given, **named)
        calls.extend([1] * bool(when(*given)))
        if len(calls) == times and when(*given):
            spoil(*given)
            os.kill(os.getpid(), number)
        return result

    setattr(owner, name, call)


def _fork(run: Run, rank: int, port: int, output: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    # No return from here: the fork must never run what comes after in its parent.
    status = 1
    try:
        faulthandler.dump_traceback_later(0.9 * PATIENCE)
        with output.open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.chdir(run.folder)
        os.environ.update(run.environment)
        if run.processes > 1:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(run.processes))
            os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
            # The place they meet at belongs to neither of them, as under torchrun.
            os.environ.update(TORCHELASTIC_USE_AGENT_STORE="True", TORCHELASTIC_RESTART_COUNT="0")
        code = _code(run)
        # One dictionary for all: what a hook defines stays known to what it has put in place.
        exec(run.hook, {"after": after, "os": os, "signal": signal})
        runpy.run_path(str(code / "stages" / run.stage), run_name="__main__")
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _code(run: Run) -> Path:
    """Return where a run's code lies; if that is not here, forget what of it was loaded here."""
    if not run.own_code:
        return ROOT
    for name in [name for name in sys.modules if name.partition(".")[0] == "superres"]:
        del sys.modules[name]
    here = [Path(path).resolve() for path in sys.path]
    others = [path for path, at in zip(sys.path, here, strict=True) if at != ROOT / "src"]
    sys.path[:] = [str(Path(run.folder) / "src"), *others]
    return Path(run.folder)


def _meeting_place(port: int) -> int:
    """Fork a process that does for others what torchrun's own does; it ends when it is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            TCPStore = import_module("torch.distributed").TCPStore
            store = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
            time.sleep(PATIENCE)
            del store
        finally:
            os._exit(0)
    return pid


def _carry_out(run: Run, output: Path) -> End:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output.write_text("")
    begin = time.monotonic()
    meeting = _meeting_place(port) if run.processes > 1 else None
    pids = [_fork(run, rank, port, output) for rank in range(run.processes)]
    if run.kill_after is not None:
        time.sleep(run.kill_after)
        os.kill(pids[0], signal.SIGKILL)
    statuses = [os.waitstatus_to_exitcode(_waited(pid, begin + PATIENCE)) for pid in pids]
    if meeting is not None:
        os.kill(meeting, signal.SIGKILL)
        os.waitpid(meeting, 0)
    return End(statuses, output.read_text(), time.monotonic() - begin)


def _waited(pid: int, deadline: float) -> int:
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _main() -> None:
    runs = [Run(**asked) for asked in json.load(sys.stdin)]
    # Loaded, not run: no thread has started when the forks are made.
    for stage in {run.stage for run in runs}:
        runpy.run_path(str(ROOT / "stages" / stage), run_name="loaded")
    if {run.stage for run in runs} & {"train.py", "estimate_entropy.py"}:
        # An optimizer's first step would, for more than a second, in each of the forks.
        import torch._dynamo  # noqa: PLC0415
    if any(run.environment.get("SUPERRES_SHARD") for run in runs):
        import torch.distributed.fsdp  # noqa: F401, PLC0415
    output = Path(runs[0].folder) / "output.txt"
    json.dump([_carry_out(run, output) for run in runs], sys.stdout)


if __name__ == "__main__":
    _main()
