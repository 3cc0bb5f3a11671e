"""What many tests use: tiny params, small photographs, commands in a copy of the project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from scipy.ndimage import gaussian_filter

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(__file__).parent / "golden"
STORED = Path(__file__).parent / "data_formats"
"""Folders as they were written when their format was new; never written anew."""


def tiny_params() -> dict[str, Any]:
    """Return the params of the preset with the small U-Net, at sizes that run in seconds."""
    return _tiny(ROOT / "presets" / "small-unet.yaml", {"channels": 8})


def tiny_mean_denoiser_params() -> dict[str, Any]:
    """Return the params of the preset for a network of two parts, at such sizes."""
    small = {"mean_channels": 8, "mean_blocks": [1, 1, 1]}
    params = _tiny(ROOT / "presets" / "mean-denoiser.yaml", small | {"denoiser_channels": 4})
    params["explore"]["curves"] = [{"sampler": "dpmpp_2m", "spacing": "angle", "steps": [1, 2]}]
    return params


def tiny_classical_params() -> dict[str, Any]:
    """Return the params of the preset for bicubic inputs of a third of the size, at such sizes."""
    small = {"mean_channels": 8, "mean_blocks": [1, 1, 1]}
    params = _tiny(ROOT / "presets" / "classical-x3.yaml", small | {"denoiser_channels": 4})
    params["data"].update(tile_size=36, stride=36)
    params["explore"]["curves"] = [{"sampler": "dpmpp_2m", "spacing": "angle", "steps": [1, 2]}]
    return params


def _tiny(path: Path, model: dict[str, Any]) -> dict[str, Any]:
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["data"].update(source="photographs", tile_size=32, stride=32, min_sharpness=0.0)
    params["degrade"].update(variants=1)
    params["model"].update(model)
    params["diffusion"].update(timesteps=100)
    params["train"].update(steps=6, batch=4, checkpoint_every=3, log_every=2)
    params["train"]["previews"].update(every=3, tiles=2)
    params["select"].update(steps=2, tiles=4, ema_lengths=[])
    params["sampler"].update(steps=4, repeats=2)
    params["explore"].update(tiles=2, entropies=[0.0, 1.0], samples=2, grid_steps=2, sizes=[1, 2])
    params["explore"]["curves"] = [
        {"sampler": "ddpm", "spacing": "linear", "steps": [1, 2]},
        {"sampler": "heun", "spacing": "trailing", "steps": [2]},
    ]
    params["entropy"].update(channels=8, steps=4, batch=4)
    params["evaluate"]["features"]["swd"].update(patches_per_tile=16, projections=16)
    params["evaluate"]["bootstrap"].update(resamples=100)
    params["report"].update(tiles=4)
    return params


def write_photographs(folder: Path, count: int = 6, size: tuple[int, int] = (96, 80)) -> None:
    """Write smooth random colour pictures, each different, as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        noise = np.random.default_rng(index).normal(size=(*size, 3))
        smooth = gaussian_filter(noise, (1.5, 1.5, 0))
        levels = 127 + 60 * smooth / smooth.std()
        picture = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
        picture.save(folder / f"photograph {index}.png")


def left_alone(folder: Path) -> Iterator[Path]:
    """Yield a folder that tests share, for a fixture; afterwards fail if one of them wrote there.

    Whether the others see what is written depends on which tests a worker runs, and in what order.
    """
    before = _contents(folder.parent)
    yield folder
    after = _contents(folder.parent)
    changed = sorted({name for name, _ in before.items() ^ after.items()})
    assert not changed, f"a test changed what all tests share: {changed}"


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def environment() -> dict[str, str]:
    """Return the environment for a stage's process: this Python first, one thread, no colours."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": "src",
        "OMP_NUM_THREADS": "1",
        "DVC_NO_ANALYTICS": "1",
        "SUPERRES_DEVICE": "cpu",
        "SUPERRES_OFFLINE": "1",
        "SUPERRES_CACHE": str(ROOT / ".no-cache"),
        "SUPERRES_INCEPTION": "",
        "SUPERRES_LPIPS": "",
        "SUPERRES_DISTS": "",
    }


def run(folder: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder and return it with its output; by default it must succeed."""
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}")
    return done


def copy_project(folder: Path) -> None:
    """Copy the project's files, as git would publish them, into a repository of its own."""
    listed = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").stdout
    for name in listed.splitlines():
        source = ROOT / name
        if source.is_file() and not name.startswith("tests/golden/") and name != "dvc.lock":
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "config", "user.email", "test@example.org")
    run(folder, "git", "config", "user.name", "test")


def write_yaml(path: Path, value: Any) -> Path:
    """Write a value as YAML and return the path."""
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
    return path
