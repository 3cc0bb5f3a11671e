from __future__ import annotations

import subprocess
import sys

from support import ROOT, environment

HEAVY = {"pandas", "scipy", "skimage", "matplotlib", "joblib", "dvc"}


def test_restoring_starts_without_what_it_does_not_need() -> None:
    """docs/restore.md: next to torch, these would take most of the time until the first pixel."""
    code = "import sys, superres.commands.restore; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "torch" in loaded
    assert not loaded & HEAVY
