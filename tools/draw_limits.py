"""Draw docs/limits.webp: what the model in the box is bad at.

    PYTHONPATH=src python tools/draw_limits.py [--model DIR]

Small print, a face, a pattern finer than the input can hold, and a picture that was sharp already.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from contact_sheet import write_sheet
from PIL import Image
from skimage import data

from superres.degradation.chain import Degradation
from superres.degradation.degrade import degrade
from superres.restoration.restorer import Restorer, load

OUT = Path(__file__).resolve().parent.parent / "docs" / "limits.webp"
EDGE = 96
MEDIUM = {"blur": 0.4, "jpeg": 0.4}


def rings() -> np.ndarray:
    """Return rings that become finer from the middle to the corners."""
    y, x = np.mgrid[-48:48, -48:48]
    wave = 127 + 100 * np.cos(0.022 * (x**2 + y**2))
    return np.rint(wave)[..., None].repeat(3, axis=2).astype(np.uint8)


def grey(picture: np.ndarray) -> np.ndarray:
    """Return a grey picture as RGB."""
    return picture[..., None].repeat(3, axis=2)


def cases() -> dict[str, tuple[np.ndarray, dict[str, float]]]:
    """Return originals of 96 x 96 px, and the entropies that they are corrupted with."""
    return {
        "print": (grey(data.page()[70:166, 40:136]), MEDIUM),
        "face": (data.astronaut()[60:156, 170:266], MEDIUM),
        "rings": (rings(), {}),
        "sharp": (data.rocket()[200:296, 280:376], {}),
    }


def row(original: np.ndarray, told: dict[str, Any], restorer: Restorer) -> list[Image.Image]:
    """Return bicubic, the estimate, what `superres restore` gives, and the original."""
    degradation = Degradation.from_json(restorer.model.spec.degradation)
    entropies = dict.fromkeys(degradation.names, 0.0) | told
    low = Image.fromarray(degrade(degradation, np.ascontiguousarray(original), entropies, "x")[0])
    return [
        low.resize((EDGE, EDGE), Image.Resampling.BICUBIC),
        restorer.restore(low, estimate=True, **told),
        restorer.restore(low, **told),
        Image.fromarray(original),
    ]


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    restorer = load(parser.parse_args().model)
    rows = [row(original, told, restorer) for original, told in cases().values()]
    write_sheet(OUT, ("bicubic", "estimate", "restored", "original"), rows)


if __name__ == "__main__":
    main()
