"""`python -m superres.reporting`: print the last run's figures, and record anew where it ran."""

from __future__ import annotations

import sys
from pathlib import Path

from superres.core.errors import SuperresError
from superres.reporting import tables
from superres.reporting.environment import write_run
from superres.reporting.run import read_run
from superres.reporting.summary import verdict

REPORTS = Path("reports")


def main() -> int:
    """Return the exit status: 1, with a message, where there is no complete run."""
    try:
        run = read_run(Path("data"), REPORTS)
        content = write_run(REPORTS)
    except SuperresError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    print(f"\n{verdict(run)}\n\n{tables.plain_table(run)}\n")
    if content["times"]:
        spent = ", ".join(f"{row.stage} {row.spent}" for row in content["times"])
        print(f"when each stage last ran: {spent}; together {content['total']}")
    print(f"report: {(REPORTS / 'index.html').resolve()}")
    print(f"the same with times, machine and hashes: {(REPORTS / 'run.html').resolve()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
