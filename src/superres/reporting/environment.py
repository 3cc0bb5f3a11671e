"""Where and how fast a run was made: hashes, versions, hardware, times.

They differ from one machine or run to the next, so the stage's outs hold none of it, or DVC would
take every run for a change. `run.html` is the page with all of that inside, `run.md` the same as
Markdown.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from superres.core.errors import SuperresError
from superres.core.stage import TIMING
from superres.core.storage import write_text
from superres.reporting.formatting import duration
from superres.reporting.rendering import html_templates, render_markdown

PACKAGES = ("superres", "torch", "numpy", "scipy", "pandas", "pillow", "scikit-image", "dvc")
COUNTED = ("images", "pairs", "inputs", "tiles", "photographs")
"""What a stage may have counted; the first of them makes its rate."""
BEGIN, END = "<!--run-->", "<!--/run-->"
"""What stands between these in the page is replaced; no text of a page can hold them, escaped."""


@dataclass(frozen=True)
class StageTime:
    """How long a stage took when it last ran here."""

    stage: str
    seconds: float
    images: int | None
    kind: str
    """What the images are: one of `COUNTED`."""
    rate: float | None
    """Images per second; of stages that count them."""
    rest: str
    """What else the stage recorded."""

    @property
    def spent(self) -> str:
        """The time as one says it."""
        return duration(self.seconds)

    @property
    def counted(self) -> str:
        """How many images, and which."""
        if self.images is None:
            return "–"
        return f"{self.images:,} {self.kind}".replace(",", "\u202f").removesuffix(" images")


@dataclass(frozen=True)
class LockedOut:
    """An output as `dvc.lock` has it."""

    stage: str
    path: str
    md5: str
    size: int


def write_run(reports: Path = Path("reports"), lock: Path = Path("dvc.lock")) -> dict[str, Any]:
    """Write `run.html` and `run.md`: times, machine, versions and hashes; return what they say.

    Raises:
        SuperresError: there is no page, or the lock or the times are not what they should be.
    """
    content = run_content(_timings(reports / TIMING.name), lock)
    path = reports / "index.html"
    try:
        page = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SuperresError(f"{path}: cannot be read: {error}; run the stage report") from error
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SuperresError(f"{path}: not a page of this version; run the stage report")
    inside = html_templates().get_template("run.html.jinja").render(content)
    write_text(reports / "run.html", before + inside + after)
    write_text(reports / "run.md", render_markdown(content, "run.md.jinja"))
    return content


def run_content(timings: dict[str, Any], lock: Path) -> dict[str, Any]:
    """Return what both files say.

    Raises:
        SuperresError: the lock is not one.
    """
    times, outs = stage_times(timings), locked_outs(lock)
    ran = {row.stage for row in times}
    return {
        "times": times,
        "total": duration(sum(row.seconds for row in times)),
        "elsewhere": list(dict.fromkeys(row.stage for row in outs if row.stage not in ran)),
        "hardware": hardware(),
        "versions": versions(),
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


def stage_times(timings: dict[str, Any]) -> list[StageTime]:
    """Return the contents of `timing.json` as rows."""
    rows = []
    for stage, recorded in timings.items():
        rest = dict(recorded)
        seconds = float(rest.pop("seconds"))
        kind = next((name for name in COUNTED if name in rest), "images")
        images = rest.pop(kind, None)
        rate = images / seconds if images and seconds > 0 else None
        others = (f"{key.replace('_', ' ')} {_as_text(value)}" for key, value in rest.items())
        rows.append(StageTime(stage, seconds, images, kind, rate, ", ".join(others)))
    return rows


def _as_text(value: Any) -> str:
    """Return a recorded value as text, of a table of numbers the range."""
    if isinstance(value, dict) and value:
        numbers = list(_numbers(value))
        return f"{min(numbers)} to {max(numbers)}" if numbers else ""
    return str(value)


def _numbers(value: dict[str, Any]) -> Iterator[float]:
    for item in value.values():
        if isinstance(item, dict):
            yield from _numbers(item)
        elif isinstance(item, int | float):
            yield item


def locked_outs(lock: Path) -> list[LockedOut]:
    """Return the outputs of every stage with their hashes; none where there is no lock.

    Raises:
        SuperresError: a lock that is not what DVC writes.
    """
    if not lock.is_file():
        return []
    try:
        stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]
        return [
            LockedOut(stage, out["path"], out["md5"], int(out.get("size", 0)))
            for stage, recorded in stages.items()
            for out in recorded.get("outs", [])
        ]
    except (yaml.YAMLError, KeyError, TypeError, ValueError, OSError) as error:
        raise SuperresError(f"{lock}: not a lock of DVC: {error!r}") from error


def versions() -> list[tuple[str, str]]:
    """Return what is installed here, and the project's revision where git knows it."""
    found = [("Python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:  # run from the source tree, not installed
            found.append((name, "not installed"))
    revision = _first_line("git", "rev-parse", "HEAD")
    if revision:
        changed = _first_line("git", "status", "--porcelain", "--untracked-files=no")
        found.append(("revision", revision + (" with changes" if changed else "")))
    return found


def hardware() -> list[tuple[str, str]]:
    """Return this machine's processor, memory and GPUs, as far as the system tells."""
    found = [
        ("system", f"{platform.system()} {platform.machine()}"),
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
    ]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        found.append(("memory", f"{size / 2**30:.0f} GiB"))
    gpus = _lines("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    return [*found, *(("GPU", line) for line in gpus)]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def _first_line(*command: str) -> str:
    return next(iter(_lines(*command)), "")


def _lines(*command: str) -> list[str]:
    """Return what a command prints; nothing where it is not installed or fails."""
    if shutil.which(command[0]) is None:
        return []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []
