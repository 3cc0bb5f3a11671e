"""`python -m superres.reporting`: print the last run's figures, and note anew where it ran."""

from __future__ import annotations

import sys
from pathlib import Path

from superres.core.errors import SuperresError
from superres.reporting import tables
from superres.reporting import wording as words
from superres.reporting.run import read_run
from superres.reporting.run_page import write_run

REPORTS = Path("reports")


def main() -> int:
    """Return the exit status: 1, with a message, where there is no complete run to tell of."""
    try:
        run = read_run(Path("data"), REPORTS)
        noted = write_run(REPORTS)
    except SuperresError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    print(f"\n{words.verdict(run)}\n\n{tables.plain_table(run)}\n")
    if noted["times"]:
        spent = ", ".join(f"{row.stage} {row.spent}" for row in noted["times"])
        print(f"when each stage last ran: {spent}; together {noted['total']}")
    print(f"report: {(REPORTS / 'index.html').resolve()}")
    print(f"the same with times, machine and hashes: {(REPORTS / 'run.html').resolve()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
