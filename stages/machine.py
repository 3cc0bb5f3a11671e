"""machine: note where and how fast the run was made, in a copy of the page.

It differs from run to run, so it is no output: nothing may depend on it.
"""

from __future__ import annotations

from superres.core.stage import run_stage
from superres.reporting.environment import write_run


def main() -> None:
    """Read `reports/index.html` and `timing.json`, write `reports/run.html` and `run.md`."""
    write_run()


if __name__ == "__main__":
    run_stage("machine", main, timed=False)
