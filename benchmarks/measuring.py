"""Timing, and what a benchmark leaves: a table on the terminal and a JSON file with the machine."""

from __future__ import annotations

import ctypes
import datetime
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from superres.core.device import M_TRIM_THRESHOLD, TRIM_THRESHOLD

RESULTS = Path(__file__).resolve().parent / "results"
MATRIX = 2048
"""Edge of the matrices whose product stands for what the machine can do."""
GLIBC_TRIM_THRESHOLD = 64 * 2**20
"""Bytes of freed memory that glibc comes to keep at most by itself: twice its largest threshold."""


@dataclass
class Row:
    """One figure: the median of repeated measurements, with the lowest and the highest.

    Args:
        what: what was measured.
        unit: of the figures.
        values: every measurement.
        note: what else a reader must know.
        facts: further figures by name.
    """

    what: str
    unit: str
    values: list[float]
    note: str = ""
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The middle one of the measurements."""
        return statistics.median(self.values)


def wait(device: torch.device) -> None:
    """Wait until a device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(function: Callable[[], object], device: torch.device) -> float:
    """Return how long a call takes, the device's work included."""
    wait(device)
    begin = time.perf_counter()
    function()
    wait(device)
    return time.perf_counter() - begin


def interleaved(
    functions: Mapping[str, Callable[[], object]], rounds: int, device: torch.device, warm: int = 1
) -> dict[str, list[float]]:
    """Return the seconds of every call of every function, taken in turns.

    What else the machine does then meets all of them alike, so that their ratios hold.
    """
    for _ in range(warm):
        for function in functions.values():
            function()
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(seconds(function, device))
    return times


def plainly(function: Callable[[], object]) -> Callable[[], object]:
    """Return a function as it runs where nobody told the C library to keep freed memory.

    The library tells it (`superres/device.py`), and a baseline in the same process would gain, too.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return function

    def call() -> None:
        mallopt(M_TRIM_THRESHOLD, GLIBC_TRIM_THRESHOLD)
        try:
            function()
        finally:
            mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)

    return call


def matrix_product(device: torch.device, dtype: torch.dtype, edge: int) -> Callable[[], object]:
    """Return a product of square matrices to be timed; `rate_of` says what its seconds mean."""
    left, right = torch.randn(2, edge, edge, device=device).to(dtype)
    return lambda: left @ right


def rate_of(flops: float, times: list[float]) -> float:
    """Return floating-point operations per second at the median."""
    return flops / statistics.median(times)


def flops_of(function: Callable[[], object]) -> float:
    """Return the floating-point operations of products and convolutions in a call."""
    with FlopCounterMode(display=False) as counter:
        function()
    return float(counter.get_total_flops())


def machine(device: torch.device) -> dict[str, Any]:
    """Return what ran the benchmark: hardware and versions, no host name."""
    described: dict[str, Any] = {
        "device": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        described.update(
            device=card.name,
            memory_gib=round(card.total_memory / 2**30, 1),
            cuda=torch.version.cuda,
            cudnn=torch.backends.cudnn.version(),
        )
    return described


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # another system
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def show(rows: list[Row]) -> None:
    """Print a table of rows."""
    width = max((len(row.what) for row in rows), default=0)
    for row in rows:
        spread = f"{min(row.values):.4g} to {max(row.values):.4g}"
        facts = ", ".join(f"{name} {value:.4g}" for name, value in row.facts.items())
        note = "; ".join(filter(None, (facts, row.note)))
        print(f"{row.what:{width}}  {row.median:10.4g} {row.unit:8} ({spread})  {note}".rstrip())


def write(
    kind: str, rows: list[Row], device: torch.device, left_out: list[str], out: Path | None
) -> Path:
    """Write rows as JSON, to `results/<date>-<hardware>-<kind>.json` unless told, and say where."""
    described = machine(device)
    today = datetime.date.today().isoformat()
    if out is None:
        name = re.sub(r"[^a-z0-9]+", "-", str(described["device"]).lower()).strip("-")
        out = RESULTS / f"{today}-{name}-{kind}.json"
    content = {
        "date": today,
        "machine": described,
        "left_out": left_out,
        "rows": [{**asdict(row), "median": row.median} for row in rows],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return out
