"""The preset for a machine lent for minutes: plain scripts, pieces, and a small state."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from superres.models.superres import SuperResUNet
from superres.params.check import check_params
from support import ROOT, environment, run, tiny_params, write_photographs, write_yaml

PRESET = ROOT / "presets/gpu-25min.yaml"
BEFORE = ("tile", "degrade")
AFTER = ("select_best", "sample", "explore", "reference", "evaluate", "report")
# A stage as on a machine without DVC.
WITHOUT_DVC = "import runpy, sys; sys.modules['dvc'] = None; sys.argv = [p := sys.argv[1]]; "
WITHOUT_DVC += "runpy.run_path(p, run_name='__main__')"


def tiny_preset(**train: Any) -> dict[str, Any]:
    """Return the preset at the sizes of tests, and with the tests' number of everything."""
    params = yaml.safe_load(PRESET.read_text(encoding="utf-8"))
    small = tiny_params()
    params["data"].update(source="photographs", tile_size=32, stride=32, min_sharpness=0.0)
    params["degrade"].update(variants=1)
    params["model"].update(channels=8)
    params["diffusion"].update(timesteps=100)
    params["train"].update(batch=4, log_every=1, **train)
    params["train"]["previews"].update(every=1000, tiles=2)
    for section in ("select", "sampler", "explore", "evaluate"):
        params[section] = small[section]
    params["select"]["ema_lengths"] = []
    return params


def stage(folder: Path, name: str) -> None:
    run(folder, sys.executable, "-c", WITHOUT_DVC, f"stages/{name}.py")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the stages, the code and photographs, and no trace of DVC."""
    for name in ("presets", "stages", "src", "weights.json"):
        (tmp_path / name).symlink_to(ROOT / name)
    write_photographs(tmp_path / "photographs")
    return tmp_path


def test_the_stages_run_without_dvc_and_training_in_pieces(project: Path) -> None:
    steps = 60
    write_yaml(project / "params.yaml", tiny_preset(steps=steps, checkpoint_every=30))
    for name in BEFORE:
        stage(project, name)
    command = [sys.executable, "stages/train.py"]
    with subprocess.Popen(command, cwd=project, env=environment(), stderr=subprocess.PIPE) as piece:
        log = project / "reports/train.csv"
        until = time.monotonic() + 120
        while not log.exists():  # its first row comes with the first step, others later
            assert piece.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        piece.send_signal(signal.SIGTERM)
        said = piece.communicate(timeout=120)[1].decode()
    assert piece.returncode == 143
    stopped = int(re.findall(r"stopped at step (\d+)", said)[0])
    assert 0 < stopped < steps
    assert list((project / "models/.progress").iterdir())
    stage(project, "train")
    assert sorted(path.name for path in (project / "models/train").iterdir())
    assert not list((project / "models/.progress").iterdir())
    for name in AFTER:
        stage(project, name)
    assert "gpu" in (project / "reports/index.html").read_text().lower()
    assert not (project / ".dvc").exists()


def test_the_state_stays_below_60_mib() -> None:
    params = check_params(PRESET)
    with torch.device("meta"):
        network = SuperResUNet(params.model, len(params.degrade.corruptions), 8)
    weights = 4 * sum(weight.numel() for weight in network.parameters())
    state = weights * (4 + len(params.train.averaging.power))  # itself, AdamW's two, the average
    checkpoints = params.train.steps // params.train.checkpoint_every
    kept = weights * (1 + len(params.train.averaging.power)) * checkpoints
    assert state + kept < 60 * 2**20
    assert weights > 8 * 2**20
