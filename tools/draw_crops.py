"""Draw docs/crops.webp: parts of photographs that no training saw, restored whole.

    PYTHONPATH=src python tools/draw_crops.py [--model DIR]

Two of the bundled photographs are made half as large, corrupted in between, and restored as
`superres restore` does; six parts of them are shown three times enlarged.
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
from superres.restoration.restorer import load

OUT = Path(__file__).resolve().parent.parent / "docs" / "crops.webp"
TOLD: dict[str, Any] = {"blur": 0.4, "jpeg": 0.4}
PARTS = {
    "chelsea": [(96, 100), (196, 158), (20, 190)],
    "coffee": [(250, 120), (60, 250), (420, 30)],
}
"""Left and top edge, in pixels of the original."""
EDGE = 80


def columns(name: str, model: str | None) -> dict[str, Image.Image]:
    """Return a photograph as it was and as it became, by what is written above."""
    original = getattr(data, name)()[:, :, :3]
    restorer = load(model)
    degradation = Degradation.from_json(restorer.model.spec.degradation)
    height, width = (edge // 2 * 2 for edge in original.shape[:2])
    original = np.ascontiguousarray(original[:height, :width])
    entropies = dict.fromkeys(degradation.names, 0.0) | TOLD
    low = Image.fromarray(degrade(degradation, original, entropies, name)[0])
    return {
        "input": low.resize((width, height), Image.Resampling.NEAREST),
        "bicubic": low.resize((width, height), Image.Resampling.BICUBIC),
        "estimate": restorer.restore(low, estimate=True, **TOLD),
        "restored": restorer.restore(low, **TOLD),
        "original": Image.fromarray(original),
    }


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    model = parser.parse_args().model
    rows = []
    for name, places in PARTS.items():
        pictures = columns(name, model)
        for left, top in places:
            box = (left, top, left + EDGE, top + EDGE)
            rows.append([picture.crop(box) for picture in pictures.values()])
    write_sheet(OUT, list(pictures), rows)


if __name__ == "__main__":
    main()
