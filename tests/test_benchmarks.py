"""The benchmarks run, at tiny size, so that they cannot rot."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from support import ROOT, run


def test_the_table_of_samplers(project: Path, tmp_path: Path) -> None:
    run(
        project,
        sys.executable,
        str(ROOT / "benchmarks/samplers.py"),
        "--only=ddpm,heun",
        "--steps=4,5",
        "--count=2",
        "--samples=2",
        f"--out={tmp_path / 'samplers.csv'}",
    )
    table = pd.read_csv(tmp_path / "samplers.csv")
    assert len(table) == 2 * 2 * 4
    assert set(table["spacing"]) == {"linear", "quadratic", "trailing", "karras"}
    heun = table[table["sampler"] == "heun"]
    assert (heun["evaluations"] == 2 * heun["steps"] - 1).all()
    assert heun["evaluations"].max() == 5
    # The mean of samples is never further from the original, on average, than they are.
    assert (table["psnr_mean"] >= table["psnr"]).all()
    assert table["psnr"].between(0, 60).all()


def test_the_list_of_samplers_is_told(project: Path) -> None:
    done = run(project, sys.executable, str(ROOT / "benchmarks/samplers.py"), "--help")
    assert "dpmpp_2m" in done.stdout


@pytest.mark.parametrize("flag", ["--only=euler", "--steps=0"])
def test_impossible_requests_end_in_an_error(project: Path, flag: str) -> None:
    words = ["--only=ddpm", "--count=2", flag]
    done = run(project, sys.executable, str(ROOT / "benchmarks/samplers.py"), *words, check=False)
    assert done.returncode


def test_the_table_of_tiling_and_degradation() -> None:
    done = run(ROOT, sys.executable, str(ROOT / "benchmarks/data.py"), "400")
    header, row = done.stdout.splitlines()
    assert header.startswith("tiles")
    assert row.split()[0] == "400"
