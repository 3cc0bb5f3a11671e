"""Writes where and how fast a run was made, which DVC may not see in an output of a stage.

`run.html` is the page with all of that inside, `run.md` the same as Markdown.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from superres.core.errors import SuperresError
from superres.core.stage import TIMING
from superres.core.storage import write_text
from superres.reporting import environment as machine
from superres.reporting.markdown import render_markdown
from superres.reporting.templates import environment

BEGIN, END = "<!--run-->", "<!--/run-->"
"""What stands between these in the page is replaced; no text of a page can hold them, escaped."""


def write_run(reports: Path = Path("reports"), lock: Path = Path("dvc.lock")) -> dict[str, Any]:
    """Write `run.html` and `run.md`: times, machine, versions and hashes; return what they say.

    Raises:
        SuperresError: there is no page, or the lock or the times are not what they should be.
    """
    noted = note(_timings(reports / TIMING.name), lock)
    path = reports / "index.html"
    try:
        page = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SuperresError(f"{path}: cannot be read: {error}; run the stage report") from error
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SuperresError(f"{path}: not a page of this version; run the stage report")
    inside = environment().get_template("run.html.jinja").render(noted)
    write_text(reports / "run.html", before + inside + after)
    write_text(reports / "run.md", render_markdown(noted, "run.md.jinja"))
    return noted


def note(timings: dict[str, Any], lock: Path) -> dict[str, Any]:
    """Return what both files say.

    Raises:
        SuperresError: the lock is not one.
    """
    times, outs = machine.stage_times(timings), machine.locked_outs(lock)
    ran = {row.stage for row in times}
    return {
        "times": times,
        "total": machine.duration(sum(row.seconds for row in times)),
        "elsewhere": list(dict.fromkeys(row.stage for row in outs if row.stage not in ran)),
        "hardware": machine.hardware(),
        "versions": machine.versions(),
        "outs": outs,
    }


def _timings(path: Path) -> dict[str, Any]:
    """Return the contents of `timing.json`; nothing where no stage ran here.

    Raises:
        SuperresError: it is not what the stages write.
    """
    if not path.is_file():
        return {}
    try:
        timings = json.loads(path.read_text(encoding="utf-8"))
        if all("seconds" in facts for facts in timings.values()):
            return timings
    except (ValueError, AttributeError, TypeError) as error:
        raise SuperresError(f"{path}: cannot be read: {error}") from error
    raise SuperresError(f"{path}: lacks the seconds of a stage; delete it")
