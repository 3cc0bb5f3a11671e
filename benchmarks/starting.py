"""What it takes to begin: the start of every stage script, of the page, and DVC itself."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measuring import Row

ROOT = Path(__file__).resolve().parent.parent


def start_rows(rounds: int) -> list[Row]:
    """Return the seconds until each stage script has imported all it needs."""
    rows = []
    for script in sorted((ROOT / "stages").glob("*.py")):
        code = (
            f"import runpy, sys; runpy.run_path({str(script)!r}, run_name='start');"
            "print('torch' in sys.modules)"
        )
        taken, said = [], ""
        for _ in range(rounds):
            begin = time.perf_counter()
            said = _run([sys.executable, "-c", code], ROOT)
            taken.append(time.perf_counter() - begin)
        note = "imports torch" if said.strip() == "True" else "without torch"
        rows.append(Row(f"start of {script.name}", "s", taken, note))
    return rows


APP = """
import sys, time
import superres.cli, superres.commands.app as command
from superres.app.settings import Limits
models = command.found_models([])
with command.serving(models, Limits(), "0", device="cpu"):
    print(time.process_time())
"""


def app_rows(rounds: int) -> list[Row]:
    """Return the processor seconds until `superres app` tells its address; none without Gradio."""
    if importlib.util.find_spec("gradio") is None:
        return []
    taken = [float(_run([sys.executable, "-c", APP], ROOT).split()[0]) for _ in range(rounds)]
    note = "without torch, which is loaded once the page is there"
    return [Row("superres app until its address", "processor s", taken, note)]


def dvc_rows(folder: Path, rounds: int) -> list[Row]:
    """Return what `dvc repro` takes beyond the commands that it runs, and when there are none."""
    listed = _run(["git", "ls-files"], ROOT).split()
    copy = folder / "project"
    for name in listed:
        if not name.startswith(("tests/", "dvc.lock", "benchmarks/")) and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    _run(["git", "init", "--quiet"], copy)
    dvc = [sys.executable, "-m", "dvc", "repro", "--quiet", "photos"]
    stage, idle = [], []
    for _ in range(rounds):
        alone = _timed([sys.executable, "-m", "superres.config"], copy)
        alone += _timed([sys.executable, "stages/photos.py"], copy)
        stage.append(_timed([*dvc, "--force"], copy) - alone)
        idle.append(_timed(dvc, copy))
    return [
        Row("dvc repro, one stage, beyond its commands", "s", stage),
        Row("dvc repro, nothing to do", "s", idle, "one stage"),
    ]


def _timed(command: list[str], folder: Path) -> float:
    begin = time.perf_counter()
    _run(command, folder)
    return time.perf_counter() - begin


def _run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": "src", "PATH": path, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout
