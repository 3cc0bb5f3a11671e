"""Parts of pictures beside each other, enlarged, under titles: for the pictures in docs/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ZOOM, GAP, HEAD = 3, 6, 26
"""Pixels for one, between the parts, and for the titles."""


def write_sheet(path: Path, titles: Sequence[str], rows: Sequence[Sequence[Image.Image]]) -> None:
    """Write a WebP of rows of square parts, all of one size, a title over each column."""
    tile = rows[0][0].width * ZOOM
    size = (len(titles) * (tile + GAP) - GAP, HEAD + len(rows) * (tile + GAP) - GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        place = (column * (tile + GAP) + 4, 3)
        draw.text(place, title, fill="#333333", font=ImageFont.load_default(18))
    for number, parts in enumerate(rows):
        for column, part in enumerate(parts):
            enlarged = part.resize((tile, tile), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (column * (tile + GAP), HEAD + number * (tile + GAP)))
    sheet.save(path, quality=90, method=6)
    print(f"{path}: {path.stat().st_size} bytes")
