"""`python -m superres.reporting`: print the figures of the last run and where its report is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from superres.errors import SuperresError
from superres.reporting import words
from superres.reporting.run import read_run
from superres.stage import TIMING


def main() -> int:
    """Return the exit status: 1, with a message, where there is no complete run to tell of."""
    try:
        run = read_run(Path("data"), Path("reports"))
    except SuperresError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    print(f"\n{words.verdict(run)}\n\n{words.plain_table(run)}\n")
    if TIMING.is_file():
        timings = json.loads(TIMING.read_text(encoding="utf-8"))
        total = sum(facts["seconds"] for facts in timings.values())
        spent = ", ".join(f"{name} {facts['seconds']:.0f}" for name, facts in timings.items())
        print(f"seconds when each stage last ran: {spent}; together {total:.0f}")
    print(f"report: {Path('reports/index.html').resolve()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
