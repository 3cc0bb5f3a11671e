"""Draw docs/report.png, the picture of the README, from the report that lies in `reports`.

`python tests/reporting/screenshot.py` after `make repro`; or with the path of another report.
"""

import io
import sys
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from browser import chromium, show  # noqa: E402 - found by the line above

WIDTH_PX, HEIGHT_PX = 1200, 1800
MOST_BYTES = 300_000


def main():
    """Take the picture, with fewer colours where it would be large."""
    with chromium() as driver:
        driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        page = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "reports" / "index.html"
        show(driver, page.resolve(), WIDTH_PX, HEIGHT_PX)
        # The eye of a cat, among the sharper originals of the default run.
        driver.execute_script("document.querySelectorAll('#list [role=option]')[22].click()")
        time.sleep(0.5)  # thumbnails
        picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    # Of few colours, those that keep the small coloured marks, not those of most pixels.
    for shown in (picture, picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=5)):
        file = io.BytesIO()
        shown.save(file, "PNG", optimize=True)
        if len(file.getvalue()) < MOST_BYTES:
            break
    (ROOT / "docs" / "report.png").write_bytes(file.getvalue())
    print(f"docs/report.png: {len(file.getvalue())} bytes, {shown.mode}")


if __name__ == "__main__":
    main()
