"""What the model in the box does to a photograph that it was not trained on."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

from superres.degradation.chain import Degradation
from superres.degradation.degrade import degrade
from superres.model.found import BOX
from superres.restoration.restorer import Restorer, load

EDGE, AROUND = 128, 32
"""In pixels of the original: what is restored, and what blur sees beyond it."""


@pytest.fixture(scope="module")
def box() -> Restorer:
    return load(BOX, device="cpu")


@pytest.fixture(scope="module")
def original() -> np.ndarray:
    """Return an astronaut's face and what lies around it."""
    return np.ascontiguousarray(data.astronaut()[60:252, 130:322])


def inputs(original: np.ndarray, box: Restorer, blur: float, jpeg: float) -> np.ndarray:
    """Return the middle of a photograph, made smaller and corrupted, blur having seen the rest."""
    degradation = Degradation.from_json(box.model.spec.degradation)
    entropies = {"blur": blur, "noise": 0.0, "jpeg": jpeg}
    low, _ = degrade(degradation, original, entropies, "face")
    around = AROUND // 2
    return np.ascontiguousarray(low[around:-around, around:-around])


def gain(restored: np.ndarray, original: np.ndarray, low: np.ndarray, edge: int = 0) -> float:
    """Return dB over bicubic, of the outermost `edge` pixels alone where any are asked for."""
    bicubic = np.asarray(Image.fromarray(low).resize((EDGE, EDGE), Image.Resampling.BICUBIC))
    counted = np.ones((EDGE, EDGE), bool)
    if edge:
        counted[edge:-edge, edge:-edge] = False
    middle = original[AROUND:-AROUND, AROUND:-AROUND][counted]
    return psnr(middle, restored[counted]) - psnr(middle, bicubic[counted])


@pytest.mark.parametrize(
    ("blur", "jpeg", "whole", "edge"),
    [(0.1, 0.1, 1.4, 1.4), (0.4, 0.4, 2.0, 1.7), (0.8, 0.8, 2.2, 1.2)],
)
def test_an_estimate_is_nearer_than_bicubic_up_to_the_edge(
    box: Restorer, original: np.ndarray, blur: float, jpeg: float, whole: float, edge: float
) -> None:
    low = inputs(original, box, blur, jpeg)
    estimate = box.restore(low, estimate=True, blur=blur, jpeg=jpeg, noise=0.0)
    assert gain(estimate, original, low) > whole
    assert gain(estimate, original, low, edge=4) > edge


def test_what_was_only_made_smaller_comes_out_sharper(box: Restorer, original: np.ndarray) -> None:
    low = original[AROUND:-AROUND, AROUND:-AROUND].reshape(EDGE // 2, 2, EDGE // 2, 2, 3)
    low = np.rint(low.mean((1, 3))).astype(np.uint8)
    estimate, sample = (
        box.restore(low, estimate=alone, blur=0.0, jpeg=0.0, noise=0.0) for alone in (True, False)
    )
    assert gain(estimate, original, low) > 2
    assert gain(sample, original, low) > -0.4
