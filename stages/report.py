"""report: show everything under `reports` as one page, and the figures in the terminal."""

from __future__ import annotations

from superres.core.params import load_section
from superres.core.stage import run_stage
from superres.reporting.config import ReportParams
from superres.reporting.origin import read_origin
from superres.reporting.page import write_report


def main() -> None:
    """Read `data/{tiles,pairs,samples}` and `reports`, write `reports/index.html` and its twin."""
    params = load_section("report", ReportParams)
    print(write_report(params, read_origin()))


if __name__ == "__main__":
    run_stage("report", main)
