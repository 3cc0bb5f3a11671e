"""A tiny model with its estimator, the page served in this process, and a browser to look at it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from browser import chromium
from superres import __version__
from superres.app.found_models import found_models
from superres.app.server import serving
from superres.app.settings import Limits
from superres.entropy.estimator import EntropyEstimator, EstimatorSpec, save_estimator
from superres.model.folder import read_spec
from support import left_alone, write_photographs
from tiny_trial import random_model

LIMITS = Limits(megapixels=0.2, megabytes=2)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model folder of random weights, an estimator of random weights beside it."""
    folder = random_model(tmp_path_factory.mktemp("models"))
    spec = read_spec(folder)
    torch.manual_seed(0)
    described = EstimatorSpec(
        format="superres-entropy-1",
        entropies=spec.entropies,
        degradation=spec.degradation,
        channels=8,
        caution=2.0,
    )
    save_estimator(folder.parent / "entropy", EntropyEstimator(described))
    yield from left_alone(folder)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two photographs of 240 x 200 pixels."""
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder, 2, (200, 240))
    return folder


@pytest.fixture(scope="session")
def small(photographs: Path) -> list[Path]:
    """Two pictures of 64 x 64 pixels, of one name in folders of their own."""
    made = []
    for number in range(2):
        out = photographs.parent / f"small {number}" / "small.png"
        out.parent.mkdir(exist_ok=True)
        with Image.open(photographs / f"photograph {number}.png") as image:
            image.crop((0, 0, 64, 64)).save(out)
        made.append(out)
    return made


@pytest.fixture(scope="session")
def slow(photographs: Path) -> Path:
    """A picture that takes long with many steps, near the limit of pixels."""
    out = photographs.parent / "slow.png"
    with Image.open(photographs / "photograph 0.png") as image:
        image.resize((440, 440)).save(out)
    return out


@pytest.fixture(scope="session")
def address(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's address; skipped, with the reason, where there is no Gradio."""
    pytest.importorskip("gradio", reason="needs gradio: pip install 'superres[app]'")
    before = dict(os.environ)
    here = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    with serving(found_models([str(model)]), LIMITS, __version__, device="cpu") as url:
        os.chdir(here)
        yield url
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    with chromium() as one:
        yield one
