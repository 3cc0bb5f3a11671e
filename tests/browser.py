"""A headless Chromium for the tests, with what they ask of it."""

import shutil
import tempfile
from contextlib import contextmanager

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
)


@contextmanager
def chromium():
    """Yield a driver; the test is skipped, with the reason, where there is no browser."""
    driver_program = shutil.which("chromedriver")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if driver_program is None or browser is None:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        service = webdriver.ChromeService(executable_path=driver_program)
        driver = webdriver.Chrome(options=options, service=service)
        try:
            yield driver
        finally:
            driver.quit()


def show(driver, page, width=1200, height=900, scheme="light", touch=False):
    """Open a page in a window of a size, in light or dark."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch})
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(page.as_uri())
    # A page that was open before may be opened anew without `get` waiting for its end.
    support = pytest.importorskip("selenium.webdriver.support.ui")
    support.WebDriverWait(driver, 20, 0.02).until(
        lambda one: one.execute_script("return document.readyState") == "complete"
    )


def touch(driver, kind, *points):
    """Send a touch event of fingers at points of the window, in CSS pixels."""
    fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


def box(driver, selector):
    """Return an element's left, top, width and height in the window."""
    script = """const b = document.querySelector(arguments[0]).getBoundingClientRect();
        return [b.left, b.top, b.width, b.height]"""
    return driver.execute_script(script, selector)


def find(driver, selector):
    return driver.find_element("css selector", selector)


def position(driver):
    return int(find(driver, "#divider").get_attribute("aria-valuenow"))


def drag(driver, start, by):
    actions = chains(driver)
    actions.move_to_element(find(driver, start)).click_and_hold()
    actions.move_by_offset(*by).release().perform()


def chains(driver):
    from selenium.webdriver import ActionChains  # noqa: PLC0415 - may be absent

    return ActionChains(driver, duration=50)


def press(driver, selector, *keys):
    find(driver, selector).send_keys(*keys)
