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
from PIL import Image, ImageDraw, ImageFont
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
EDGE, ZOOM, GAP, HEAD = 80, 3, 6, 26


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
    tile = EDGE * ZOOM
    rows = sum(map(len, PARTS.values()))
    sheet = Image.new("RGB", (5 * (tile + GAP) - GAP, HEAD + rows * (tile + GAP) - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    row = 0
    for name, places in PARTS.items():
        pictures = columns(name, model)
        for left, top in places:
            for column, picture in enumerate(pictures.values()):
                part = picture.crop((left, top, left + EDGE, top + EDGE))
                enlarged = part.resize((tile, tile), Image.Resampling.NEAREST)
                sheet.paste(enlarged, (column * (tile + GAP), HEAD + row * (tile + GAP)))
            row += 1
    for column, title in enumerate(pictures):
        place = (column * (tile + GAP) + 4, 3)
        draw.text(place, title, fill="#333333", font=ImageFont.load_default(18))
    sheet.save(OUT, quality=90, method=6)
    print(f"{OUT}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
