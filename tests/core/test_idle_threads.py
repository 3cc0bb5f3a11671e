"""How OpenMP's idle threads wait: importing superres says so, before torch is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from support import ROOT

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
SHOW = f"import os, superres; print([os.environ.get(name) for name in {NAMES}])"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, ["PASSIVE", "10000"]),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, ["ACTIVE", None]),
        ({"GOMP_SPINCOUNT": "7"}, ["PASSIVE", "7"]),
    ],
)
def test_idle_threads_spin_for_a_little_unless_the_user_says_otherwise(
    told: dict[str, str], expected: list[str | None]
) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    environment |= {"PYTHONPATH": str(ROOT / "src"), **told}
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(expected)
