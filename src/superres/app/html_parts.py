"""Pieces of the page that Gradio has not: a divider that keys can move, how sure an estimate is."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape

from PIL import Image, ImageDraw

from superres.app.parts import Part
from superres.restoration.picture import Picture, to_pil

OVERVIEW_EDGE = 640
"""Pixels of the small copy of the whole picture on which a part is chosen."""

HEADER = """<header class="title"><h1>superres</h1>
<p>Drop a picture, say what happened to it, and see it restored. Nothing leaves this machine.</p>
</header>"""

WELCOME = """<div class="empty"><p>The part that you look at appears here,<br>
before and after.</p></div>"""

DIVIDER_JS = """
let at = 50;
const place = () => {
  element.style.setProperty('--at', at + '%');
  const range = element.querySelector('input[type=range]');
  if (range) range.value = at;
};
element.addEventListener('input', (event) => {
  if (event.target.type !== 'range') return;
  at = event.target.value;
  element.style.setProperty('--at', at + '%');
});
place();
watch('value', place);
"""
"""The divider stays where it is when the pictures change."""

OVERVIEW_JS = """
element.addEventListener('click', (event) => {
  if (event.target.tagName !== 'IMG') return;
  const box = event.target.getBoundingClientRect();
  trigger('click', {
    across: (event.clientX - box.left) / box.width,
    down: (event.clientY - box.top) / box.height,
  });
});
"""
"""Where somebody clicked, as shares of the picture; keys have sliders."""


def shown(picture: Picture, profile: bytes | None) -> Image.Image:
    """Return a picture with 8 bits as browsers show it, its colour profile in `info`."""
    image = to_pil(picture.in_8_bits())
    if profile:
        image.info["icc_profile"] = profile
    return image


def divider(before: Image.Image, after: Image.Image, said: tuple[str, str]) -> str:
    """Return two pictures of one part with a divider between them.

    Args:
        before: the input, of any size with the proportions of the other.
        after: the restored picture.
        said: what each is called.
    """
    width, height = after.size
    enlarged = before.resize(after.size, Image.Resampling.BICUBIC)
    enlarged.info = before.info
    left, right = (escape(one) for one in said)
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


def message(text: str, wrong: bool = False) -> str:
    """Return what is to be said to a person; screen readers say it at once if it is wrong."""
    kind = 'role="alert" class="said wrong"' if wrong else 'role="status" class="said"'
    return f"<p {kind}>{escape(text)}</p>"


def sureness(estimates: Mapping[str, float], between: Mapping[str, tuple[float, float]]) -> str:
    """Return how sure estimates are: a line with a band and a dot for each corruption."""
    rows = []
    for name, value in estimates.items():
        least, most = between[name]
        words = f"{value:.2f}, probably {least:.2f} to {most:.2f}"
        rows.append(
            f'<div><dt>{escape(name)}</dt><dd><span class="scale" aria-hidden="true">'
            f'<i style="left:{100 * least:.0f}%;width:{100 * (most - least):.0f}%"></i>'
            f'<b style="left:{100 * value:.0f}%"></b></span><span>{words}</span></dd></div>'
        )
    return f'<dl class="sure">{"".join(rows)}</dl>' if rows else ""
