"""What every stage script shares: one-line errors and a note of how long it took."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from superres.core.errors import SuperresError
from superres.core.storage import write_json

TIMING = Path("reports/timing.json")


def run_stage(name: str, main: Callable[[], dict[str, Any] | None], timed: bool = True) -> None:
    """Run a stage's `main`, then note its seconds (and what it returns) in `reports/timing.json`.

    Timings are no output of the stage: they differ from run to run, and nothing depends on them.
    A `SuperresError` ends the process with its message and exit status 1. Of several processes of
    one stage, one is `timed`.
    """
    begin = time.perf_counter()
    try:
        facts = main() or {}
    except SuperresError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    if not timed:
        return
    timings = _read_timings()
    timings[name] = {"seconds": round(time.perf_counter() - begin, 2), **facts}
    write_json(TIMING, timings)


def _read_timings() -> dict[str, Any]:
    try:
        timings = json.loads(TIMING.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return timings if isinstance(timings, dict) else {}
