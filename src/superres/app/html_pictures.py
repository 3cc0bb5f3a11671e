"""Pictures on the page: two with a divider between them, a small copy to be clicked."""

from __future__ import annotations

import base64
import io
from html import escape

from PIL import Image, ImageDraw

from superres.app.parts import Part
from superres.restoration.picture import Picture, to_pil

OVERVIEW_EDGE = 640
"""Pixels of the small copy of the whole picture on which a part is chosen."""


def shown(picture: Picture, profile: bytes | None) -> Image.Image:
    """Return a picture with 8 bits as browsers show it, its colour profile in `info`."""
    image = to_pil(picture.in_8_bits())
    if profile:
        image.info["icc_profile"] = profile
    return image


def divider(before: Image.Image, after: Image.Image, captions: tuple[str, str]) -> str:
    """Return two pictures of one part with a divider between them.

    Args:
        before: the input, of any size with the proportions of the other.
        after: the restored picture.
        captions: what each is called.
    """
    width, height = after.size
    enlarged = before.resize(after.size, Image.Resampling.BICUBIC)
    enlarged.info = before.info
    left, right = (escape(one) for one in captions)
    return f"""<figure class="compare" style="--ratio: {width / height:.4f}">
<img src="{_data(after)}" alt="After: {right}">
<img class="before" src="{_data(enlarged)}" alt="Before: {left}">
<span class="line" aria-hidden="true"></span>
<input type="range" min="0" max="100" value="50" aria-label="Divider between before and after">
<figcaption><span>{left}</span><span>{right}</span></figcaption>
</figure>"""


def _data(image: Image.Image) -> str:
    """Return an image as a URL that holds it."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1, icc_profile=image.info.get("icc_profile"))
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def overview(picture: Picture, profile: bytes | None, here: Part) -> str:
    """Return a small copy of a picture with a frame around a part, to be clicked."""
    url = _data(_framed(picture, profile, here))
    alt = "The whole picture, the part that is looked at framed"
    return f'<img class="whole" src="{url}" alt="{alt}"><p>Click where to look.</p>'


def _framed(picture: Picture, profile: bytes | None, here: Part) -> Image.Image:
    image = shown(picture, profile)
    height, width = picture.size
    factor = min(1.0, OVERVIEW_EDGE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = image.convert("RGBA").resize(size, Image.Resampling.BOX)
    draw = ImageDraw.Draw(small)
    rows, columns = here
    corners = (columns.start, rows.start, columns.stop, rows.stop)
    box = [round(corner * factor) for corner in corners]
    box = [box[0], box[1], min(box[2], size[0]) - 1, min(box[3], size[1]) - 1]
    for inset, colour in enumerate(("black", "white", "white", "black")):
        inner = (box[0] + inset, box[1] + inset, box[2] - inset, box[3] - inset)
        if inner[0] < inner[2] and inner[1] < inner[3]:
            draw.rectangle(inner, outline=colour)
    if profile:
        small.info["icc_profile"] = profile
    return small
