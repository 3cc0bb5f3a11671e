"""Draw docs/app.webp, the picture of the README: `python tests/app/app_screenshot.py PICTURE`.

Begins with the model in `models/best`; after `make repro`, for example.
"""

import io
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from PIL import Image  # noqa: E402 - below what makes the following importable
from test_app_page import Page  # noqa: E402

from browser import chromium, find  # noqa: E402
from superres import __version__  # noqa: E402
from superres.app.found_models import found_models  # noqa: E402
from superres.app.server import serving  # noqa: E402
from superres.app.settings import Limits  # noqa: E402

WIDTH_PX, HEIGHT_PX = 1200, 1400
MOST_BYTES = 150_000


def main() -> None:
    """Take the picture, with less quality where it would be large."""
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "app.webp"
    scheme = sys.argv[3] if len(sys.argv) > 3 else "light"
    with serving(found_models([]), Limits(), __version__) as url, chromium() as driver:
        driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        page = Page(driver, url, WIDTH_PX, scheme)
        page.opened(Path(sys.argv[1]))
        page.restored()
        for label, suffix in (("WebP", ".webp"), ("PNG", ".png")):  # how long it took is not told
            page.click(f"#format input[value={label}]")
            page.until(lambda suffix=suffix: suffix in page.command())
        size = {"width": WIDTH_PX, "height": HEIGHT_PX, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
        find(driver, "footer")
        time.sleep(1)
        picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    for quality in (90, 80, 70, 60):
        file = io.BytesIO()
        picture.save(file, "WEBP", quality=quality, method=6)
        if len(file.getvalue()) < MOST_BYTES:
            break
    out.write_bytes(file.getvalue())
    picture.save(out.with_suffix(".png")) if len(sys.argv) > 2 else None
    print(f"{out}: {len(file.getvalue())} bytes, quality {quality}")


if __name__ == "__main__":
    main()
