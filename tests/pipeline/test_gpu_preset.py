"""The preset for a machine lent for minutes: plain scripts, pieces, and a small state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from forking import Run, story
from superres.config.check import check_params
from superres.networks.conditional_unet import SuperResUNet
from support import ROOT, environment, tiny_params, write_photographs, write_yaml

PRESET = ROOT / "presets/gpu-25min.yaml"
BEFORE = ("tile", "degrade")
AFTER = ("select_best", "sample", "explore", "reference", "evaluate", "report")
# A stage as on a machine without DVC.
WITHOUT_DVC = """
import sys
assert "dvc" not in sys.modules
sys.modules["dvc"] = None
"""
# What `timeout` does when a piece's time is over, after a step that does not depend on the machine.
STOPPED = """
from superres.training.trainer import Trainer
advance = Trainer.advance
def stopped(self):
    if self.step == 20:
        os.kill(os.getpid(), signal.SIGTERM)
    return advance(self)
Trainer.advance = stopped
"""
KEPT = 'assert os.listdir("models/.progress")'
DELIVERED = 'assert not os.listdir("models/.progress")'


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


def stage(folder: Path, name: str, hook: str = "") -> Run:
    return Run(str(folder), WITHOUT_DVC + hook, stage=f"{name}.py")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the stages, the code and photographs, and no trace of DVC."""
    for name in ("presets", "stages", "src", "weights.json"):
        (tmp_path / name).symlink_to(ROOT / name)
    write_photographs(tmp_path / "photographs")
    return tmp_path


def test_the_stages_run_without_dvc_and_training_in_pieces(project: Path) -> None:
    write_yaml(project / "params.yaml", tiny_preset(steps=30, checkpoint_every=15))
    first, *others = AFTER
    runs = [stage(project, name) for name in BEFORE]
    runs += [stage(project, "train", STOPPED), stage(project, "train", KEPT)]
    runs += [stage(project, first, DELIVERED), *(stage(project, name) for name in others)]
    ends = story(runs, environment())
    piece, rest = ends[len(BEFORE) : len(BEFORE) + 2]
    assert piece.status == 143, piece.output
    assert "stopped at step 21; run again to go on" in piece.output
    assert "going on from step 21" in rest.output
    for end in ends:
        assert end is piece or end.status == 0, end.output
    assert sorted(path.name for path in (project / "models/train").iterdir())
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
