"""`python -m superres.reporting`: print the last run's figures and note where it ran.

What DVC may not see, since it differs between runs that are alike, is written beside the page:
`run.html` and `run.md`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from markupsafe import Markup

from superres.errors import SuperresError
from superres.reporting import machine, tables, words
from superres.reporting.inlining import policy
from superres.reporting.markdown import render_markdown
from superres.reporting.page import HERE, environment
from superres.reporting.run import read_run
from superres.stage import TIMING
from superres.storage import write_text

REPORTS = Path("reports")


def main() -> int:
    """Return the exit status: 1, with a message, where there is no complete run to tell of."""
    try:
        run = read_run(Path("data"), REPORTS)
        noted = write_run(REPORTS, _timings())
    except SuperresError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    print(f"\n{words.verdict(run)}\n\n{tables.plain_table(run)}\n")
    if noted["times"]:
        spent = ", ".join(f"{row.stage} {row.seconds:.0f}" for row in noted["times"])
        print(f"seconds when each stage last ran: {spent}; together {noted['total']:.0f}")
    print(f"report: {(REPORTS / 'index.html').resolve()}")
    return 0


def write_run(
    reports: Path, timings: dict[str, Any], lock: Path = Path("dvc.lock")
) -> dict[str, Any]:
    """Write `run.html` and `run.md`: times, machine, versions and hashes; return what they say.

    Raises:
        SuperresError: `dvc.lock` is not one.
    """
    times = machine.stage_times(timings)
    noted = {
        "times": times,
        "total": sum(row.seconds for row in times),
        "hardware": machine.hardware(),
        "versions": machine.versions(),
        "outs": machine.locked_outs(lock),
    }
    css = (HERE / "page.css").read_text(encoding="utf-8")
    page = environment().get_template("run.html.jinja")
    write_text(
        reports / "run.html", page.render(noted, css=Markup(css), policy=Markup(policy(css)))
    )
    write_text(reports / "run.md", render_markdown(noted, "run.md.jinja"))
    return noted


def _timings() -> dict[str, Any]:
    """Return the contents of `timing.json`; nothing where no stage ran here.

    Raises:
        SuperresError: it is not what the stages write.
    """
    if not TIMING.is_file():
        return {}
    try:
        timings = json.loads(TIMING.read_text(encoding="utf-8"))
        if all("seconds" in facts for facts in timings.values()):
            return timings
    except (ValueError, AttributeError, TypeError) as error:
        raise SuperresError(f"{TIMING}: cannot be read: {error}") from error
    raise SuperresError(f"{TIMING}: lacks the seconds of a stage; delete it")


if __name__ == "__main__":
    raise SystemExit(main())
