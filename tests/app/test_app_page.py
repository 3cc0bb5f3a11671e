"""The page in a real browser: what a person does with it, from upload to download."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from browser import chains, find
from superres.cli import main

PATIENCE_SECONDS = 120
"""Of a shared machine; what a person may expect is asserted where it matters."""


class Page:
    """A tab with the page."""

    def __init__(self, driver: Any, url: str, width: int = 1280, scheme: str = "light") -> None:
        self.driver = driver
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        driver.get(url)
        self.until("document.querySelector('#files input[type=file]')")

    def ask(self, script: str) -> Any:
        return self.driver.execute_script(f"return {script}")

    def until(self, script: str | Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.ask(script) if isinstance(script, str) else script()
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"{script}: not in {seconds} s; {self.ask('document.body.innerText')}")

    def upload(self, *paths: Path) -> None:
        find(self.driver, "#files input[type=file]").send_keys("\n".join(map(str, paths)))

    def opened(self, *paths: Path) -> None:
        self.upload(*paths)
        self.until("document.querySelector('#divider .compare')")
        self.until("!document.querySelector('#restore').disabled")

    def notice(self) -> str:
        return self.ask("document.querySelector('#status .notice')?.innerText || ''")

    def command(self) -> str:
        return self.ask("document.querySelector('#command textarea').value")

    def after(self) -> str:
        return self.ask("document.querySelector('.compare img:not(.before)').src")

    def press(self, selector: str, *keys: str) -> None:
        find(self.driver, selector).send_keys(*keys)

    def click(self, selector: str, index: int = 0) -> None:
        self.driver.execute_script(
            "const one = document.querySelectorAll(arguments[0])[arguments[1]];"
            "one.scrollIntoView(); one.click()",
            selector,
            index,
        )

    def restored(self) -> None:
        self.click("#restore")
        self.until(lambda: "restored, in" in self.notice())

    def downloaded(self, folder: Path, button: str = "#download") -> Path:
        self.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
        )
        before = set(folder.iterdir())
        self.until(f"document.querySelector('{button}')?.disabled === false")
        self.click(button)

        def new() -> list[Path]:
            found = set(folder.iterdir()) - before
            return [one for one in found if one.suffix not in (".crdownload", ".tmp")]

        return self.until(lambda: [one for one in new() if one.stat().st_size])[0]


def requests_of(driver: Any) -> list[str]:
    told = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [one["params"] for one in told if one["method"] == "Network.requestWillBeSent"]
    return [one["request"]["url"] for one in sent]


def test_it_opens_and_asks_nobody_else(driver: Any, address: str, photographs: Path) -> None:
    driver.get("about:blank")
    time.sleep(0.5)
    driver.get_log("performance"), driver.get_log("browser")
    page = Page(driver, address)
    page.opened(photographs / "photograph 0.png")
    time.sleep(0.5)
    asked = [url for url in requests_of(driver) if not url.startswith(("data:", "blob:"))]
    assert asked and [url for url in asked if not url.startswith(address)] == []
    assert [one for one in driver.get_log("browser") if one["level"] == "SEVERE"] == []
    assert driver.title == "superres"


@pytest.mark.parametrize(
    ("label", "suffix"), [("PNG", ".png"), ("TIFF", ".tif"), ("WebP", ".webp")]
)
def test_the_download_is_what_the_command_writes(
    driver: Any, address: str, photographs: Path, tmp_path: Path, label: str, suffix: str
) -> None:
    page = Page(driver, address)
    source = photographs / "photograph 1.png"
    page.opened(source)
    page.click(f"#format input[value={label}]")
    page.until(lambda: suffix in page.command())
    page.restored()
    page.until(lambda: "The whole" in page.notice())
    (tmp_path / "downloads").mkdir()
    got = page.downloaded(tmp_path / "downloads")
    _, _, name, out, *flags = shlex.split(page.command())
    assert (name, got.name) == (source.name, out)
    assert {"--blur", "--jpeg"} & set(flags), "the estimates are told"
    assert main(["restore", str(source), str(tmp_path / out), *flags, "--device", "cpu"]) == 0
    assert got.read_bytes() == (tmp_path / out).read_bytes()


def test_sliders_change_the_picture_and_keys_suffice(
    driver: Any, address: str, photographs: Path
) -> None:
    from selenium.webdriver import Keys  # noqa: PLC0415 - may be absent

    page = Page(driver, address)
    page.opened(photographs / "photograph 0.png")
    first = page.after()
    page.press("#entropy-jpeg input[type=range]", Keys.END)
    page.until(lambda: page.after() != first)
    page.until(lambda: "--jpeg 1" in page.command())
    second = page.after()
    page.press("#down input[type=range]", Keys.HOME)
    page.press("#across input[type=range]", Keys.END)
    page.until(lambda: page.after() != second)
    divider = find(driver, ".compare input[type=range]")
    before = page.ask("getComputedStyle(document.querySelector('.compare .before')).clipPath")
    divider.send_keys(Keys.HOME)
    at = page.ask("getComputedStyle(document.querySelector('.compare .before')).clipPath")
    assert at != before and "100%" in at
    # The divider stays there when the picture changes.
    third = page.after()
    page.press("#seed input", Keys.BACKSPACE, "7")
    page.press("#entropy-blur input[type=range]", Keys.END)
    page.until(lambda: page.after() != third)
    assert "100%" in page.ask(
        "getComputedStyle(document.querySelector('.compare .before')).clipPath"
    )
    find(driver, "#restore").send_keys(Keys.ENTER)
    page.until(lambda: "restored, in" in page.notice())
    reached: set[str] = set()
    wanted = ["files", "divider", "restore", "stop", "format", "download", "command", "across"]
    wanted += ["down", "edge", "sheet-part", "entropy-blur", "entropy-jpeg", "estimate", "detail"]
    within = "document.getElementById(id).contains(document.activeElement)"
    driver.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    for _ in range(50):
        chains(driver).send_keys(Keys.TAB).perform()
        reached |= set(page.ask(f"{wanted}.filter((id) => {within})"))
    assert reached == set(wanted)


def test_stopping_stops_within_two_seconds(driver: Any, address: str, photographs: Path) -> None:
    page = Page(driver, address)
    page.opened(photographs / "photograph 0.png")
    page.click("#detail input", 2)
    page.until(lambda: "--estimate" not in page.command())
    page.click("#restore")
    page.until("/left|beginning/.test(document.querySelector('#status').innerText)")
    begin = time.monotonic()
    page.click("#stop")
    page.until(lambda: page.notice() == "Stopped.")
    assert time.monotonic() - begin < 2
    page.click("#detail input", 0)
    page.restored()


def test_what_cannot_be_read_is_told_on_the_page(
    driver: Any, address: str, photographs: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.png").write_text("<img src=x onerror=alert(1)>")
    whole = (photographs / "photograph 0.png").read_bytes()
    (tmp_path / "<b>cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    page = Page(driver, address)
    page.upload(tmp_path / "text.png")
    page.until(lambda: page.notice() == "text.png: not an image in a known format")
    assert page.ask("document.querySelector('#status [role=alert]') !== null")
    for name, said in (("<b>cut.png", "cut.png: "), ("bomb.png", "bomb.png: ")):
        page = Page(driver, address)
        page.upload(tmp_path / name, photographs / "photograph 0.png")
        page.until(lambda page=page, said=said: said in page.notice())
        page.until("document.querySelector('#divider .compare')")
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(100_000_000)
    page = Page(driver, address)
    page.upload(large)
    page.until("/exceed|too large|maximum/i.test(document.body.innerText)")
    page = Page(driver, address)
    page.opened(photographs / "photograph 0.png")


def test_one_of_several_samples_is_chosen(
    driver: Any, address: str, small: list[Path], tmp_path: Path
) -> None:
    page = Page(driver, address)
    source = small[0]
    page.opened(source)
    page.click("#detail input", 1)
    page.until("document.querySelector('#several input')")
    page.click("#several input")
    page.until(lambda: "--samples 4" in page.command())
    page.restored()
    page.until("document.querySelectorAll('#samples .grid-container button').length == 4")
    page.click("#samples .grid-container button", 2)
    page.until("document.querySelector('.compare').innerText.includes('sample 3')")
    got = page.downloaded(tmp_path)
    _, _, _, out, *flags = shlex.split(page.command())
    made = tmp_path / "made"
    assert main(["restore", str(source), str(made / out), *flags, "--device", "cpu"]) == 0
    assert got.name == "small-restored-3.png"
    assert got.read_bytes() == (made / got.name).read_bytes()


def test_all_pictures_are_restored_to_one_file(
    driver: Any, address: str, small: list[Path], tmp_path: Path
) -> None:
    page = Page(driver, address)
    page.opened(*small)
    page.until("document.querySelector('#every input')")
    assert page.ask("document.querySelector('#archive') === null")
    page.click("#every input")
    page.click("#restore")
    page.until(lambda: page.notice().startswith("All 2 pictures are restored, in"))
    got = page.downloaded(tmp_path, "#archive")
    assert got.name == "restored.zip"
    _, _, _, _, *flags = shlex.split(page.command())
    with ZipFile(got) as archive:
        assert archive.namelist() == ["small-restored.png", "small-restored (2).png"]
        for source, name in zip(small, archive.namelist(), strict=True):
            out = tmp_path / name
            assert main(["restore", str(source), str(out), *flags, "--device", "cpu"]) == 0
            assert archive.read(name) == out.read_bytes()
    # Once the controls say something else, none of them is what is offered.
    page.press("#seed input", "7")
    page.until("document.querySelector('#archive') === null")


def test_another_model_is_chosen_with_keys(
    driver: Any, address: str, model: Path, small: list[Path], tmp_path: Path
) -> None:
    from selenium.webdriver import Keys  # noqa: PLC0415 - may be absent

    noise = "document.querySelector('#entropy-noise')?.checkVisibility() === true"
    page = Page(driver, address)
    page.opened(small[0])
    assert f"--model {model}" in page.command() and not page.ask(noise)
    before = page.after()
    page.press("#model input", Keys.ARROW_DOWN, Keys.ENTER)
    page.until(lambda: str(model) not in page.command())
    page.until(noise)
    assert page.after() != before
    page.restored()
    got = page.downloaded(tmp_path)
    _, _, _, out, *flags = shlex.split(page.command())
    made = tmp_path / "made" / out
    assert main(["restore", str(small[0]), str(made), *flags, "--device", "cpu"]) == 0
    assert got.read_bytes() == made.read_bytes()


def test_a_sheet_is_drawn_and_chosen_from(driver: Any, address: str, photographs: Path) -> None:
    page = Page(driver, address)
    page.opened(photographs / "photograph 0.png")
    page.click("#sheet-part button")
    page.until("document.querySelector('#draw')")
    page.click("#draw")
    page.until("document.querySelectorAll('#sheet .grid-container button').length == 25")
    page.click("#sheet .grid-container button", 7)
    page.until(lambda: "--blur 0.25 --jpeg 0.5" in page.command())


def test_looking_where_one_clicks(driver: Any, address: str, photographs: Path) -> None:
    page = Page(driver, address)
    page.opened(photographs / "photograph 0.png")
    before = page.after()
    picture = find(driver, "#overview img")
    driver.execute_script("arguments[0].scrollIntoView()", picture)
    width = picture.size["width"]
    corner = (-width // 2 + 5, -picture.size["height"] // 2 + 5)
    chains(driver).move_to_element_with_offset(picture, *corner).click().perform()
    value = "document.querySelector('#{} input[type=range]').value"
    page.until(lambda: [page.ask(value.format(one)) for one in ("across", "down")] == ["0", "0"])
    page.until(lambda: page.after() != before)


def test_two_tabs_have_pictures_of_their_own(driver: Any, address: str, photographs: Path) -> None:
    one = Page(driver, address)
    one.opened(photographs / "photograph 0.png")
    first = driver.current_window_handle
    one.click("#detail input", 2)
    one.until(lambda: "--estimate" not in one.command())
    one.click("#restore")
    one.until("/left|beginning/.test(document.querySelector('#status').innerText)")
    driver.switch_to.new_window("tab")
    try:
        two = Page(driver, address)
        two.upload(photographs / "photograph 1.png")
        two.until("/queue/i.test(document.querySelector('#status').innerText)")
        # What the first tab waits for ends with it.
        driver.switch_to.window(first)
        driver.get("about:blank")
        driver.switch_to.window(next(one for one in driver.window_handles if one != first))
        begin = time.monotonic()
        two.until("document.querySelector('#divider .compare')")
        assert time.monotonic() - begin < 10
        assert "photograph 1.png" in two.command()
    finally:
        driver.close()
        driver.switch_to.window(first)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_findings_of_axe(
    driver: Any, address: str, photographs: Path, scheme: str
) -> None:
    axe = pytest.importorskip("axe_core_python.selenium", reason="needs axe-core-python").Axe()
    page = Page(driver, address, scheme=scheme)
    page.opened(photographs / "photograph 0.png", photographs / "photograph 1.png")
    page.restored()
    page.click("#sheet-part button")
    time.sleep(0.5)
    background = page.ask("getComputedStyle(document.body).backgroundColor")
    levels = [int(one) for one in background.strip("rgb()").split(",")]
    assert (np.mean(levels) < 60) == (scheme == "dark")
    found = axe.run(driver)
    assert len(found["passes"]) > 10
    bad = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    assert not [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in bad]


def test_nothing_overflows_a_telephone(driver: Any, address: str, photographs: Path) -> None:
    page = Page(driver, address, width=360)
    assert page.ask("document.documentElement.scrollWidth") <= 360
    page.opened(photographs / "photograph 0.png", photographs / "photograph 1.png")
    page.click("#sheet-part button")
    page.until("document.querySelector('#draw')")
    page.click("#draw")
    page.until("document.querySelectorAll('#sheet .grid-container button').length == 25")
    time.sleep(0.3)
    assert page.ask("document.documentElement.scrollWidth") <= 360
