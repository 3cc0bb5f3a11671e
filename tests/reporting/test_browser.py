"""The page in a real browser: what its script does, and that it does nothing else."""

import json
import time

import pytest
from tiny_run import HOSTILE, SOURCES

from browser import box, chains, drag, find, position, press, show, touch


def requests(driver):
    told = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [one["params"]["request"]["url"] for one in told if one["method"].endswith("BeSent")]
    return [url for url in sent if not url.startswith("data:")]


def test_it_opens_without_an_error_or_a_request(driver, page):
    driver.get("about:blank")
    driver.get_log("performance"), driver.get_log("browser")
    show(driver, page)
    assert find(driver, "#count").text == "40 of 40 tiles"
    assert requests(driver) == [page.as_uri()]
    assert driver.get_log("browser") == []


def test_what_the_policy_forbids_is_refused(opened):
    opened.execute_script("""
        const script = document.createElement("script");
        script.textContent = "document.title = 'run'";
        const picture = document.createElement("img");
        picture.setAttribute("onerror", "document.title = 'run'");
        picture.src = "http://127.0.0.1:9/x.png";
        document.body.append(script, picture);""")
    time.sleep(0.2)
    assert opened.title.startswith("A <title> & more")
    said = " ".join(entry["message"] for entry in opened.get_log("browser"))
    assert "Content Security Policy" in said


def test_names_of_photographs_are_text(opened):
    for name in SOURCES + HOSTILE:
        press(opened, "#photograph", name[:1])
    names = opened.execute_script(
        "return [...document.querySelectorAll('#photograph option')].map((o) => o.textContent)"
    )
    assert set(names[1:]) == set(SOURCES + HOSTILE)
    assert opened.execute_script("return document.querySelectorAll('img[src=\"x\"]').length") == 0
    assert opened.title.startswith("A <title> & more")


def test_the_divider_follows_the_mouse(opened):
    assert position(opened) == 50
    width = box(opened, "#stage")[2]
    drag(opened, "#divider", (int(width / 4), 30))
    assert position(opened) == pytest.approx(75, abs=1)
    drag(opened, "#divider", (-int(0.75 * width) - 10, 0))
    assert position(opened) == 0
    clip = opened.execute_script(
        "return document.querySelector('#left-picture').parentElement.style.clipPath"
    )
    assert "100%" in clip
    chains(opened).move_to_element(find(opened, "#stage")).click().perform()
    assert position(opened) == pytest.approx(50, abs=1)


def test_the_divider_follows_keys(opened):
    from selenium.webdriver import Keys  # noqa: PLC0415 - may be absent

    for keys, at in (
        ([Keys.ARROW_RIGHT], 51),
        ([Keys.ARROW_DOWN] * 2, 49),
        ([Keys.SHIFT, Keys.ARROW_LEFT], 39),
        ([Keys.END], 100),
        ([Keys.ARROW_UP], 100),
        ([Keys.HOME], 0),
    ):
        press(opened, "#divider", *keys)
        assert position(opened) == at
    assert find(opened, "#divider").get_attribute("aria-valuetext").startswith("0 % bicubic")


def test_the_divider_follows_a_finger_and_two_fingers_zoom(driver, page):
    show(driver, page, 360, 760, touch=True)
    driver.execute_script(
        "document.querySelector('#stage').scrollIntoView({block: 'center', behavior: 'instant'})"
    )
    left, top, width, height = box(driver, "#stage")
    middle = top + height / 2
    touch(driver, "touchStart", (left + width / 2, middle))
    for share in (0.45, 0.35, 0.25):
        touch(driver, "touchMove", (left + share * width, middle))
    touch(driver, "touchEnd")
    assert position(driver) == pytest.approx(25, abs=2)
    touch(driver, "touchStart", (left + 0.4 * width, middle), (left + 0.6 * width, middle))
    for share in (0.15, 0.2, 0.25, 0.3):
        touch(
            driver,
            "touchMove",
            (left + (0.5 - share) * width, middle),
            (left + (0.5 + share) * width, middle),
        )
    touch(driver, "touchEnd")
    assert int(find(driver, "#zoom").text.split()[0]) == pytest.approx(300, rel=0.1)


def test_place_and_zoom_stay_across_pictures_and_tiles(opened):
    def state():
        return opened.execute_script(
            """return ["left", "right"].map((side) => {
                 const picture = document.getElementById(side + "-picture");
                 return [picture.style.transform, picture.src];
               })"""
        )

    press(opened, "#stage", "++")
    assert find(opened, "#zoom").text == "225 %"
    drag(opened, "#left-picture", (-40, 25))  # beside the divider? no: on the stage's middle
    press(opened, "#stage", "=")
    (left, first), (right, second) = state()
    assert left == right and "scale(3.375)" in left and first != second
    press(opened, "#stage", "n")
    (moved, other), _ = state()
    assert moved == left and other != first
    press(opened, "#stage", "p")
    assert state() == [[left, first], [right, second]]
    find(opened, "#left").send_keys("original")
    (same, changed), _ = state()
    assert same == left and changed != first
    press(opened, "#stage", "x")
    assert state()[1] == [left, changed]
    press(opened, "#stage", "0")
    assert find(opened, "#zoom").text == "100 %"


def test_zooming_with_the_wheel_waits_until_the_picture_has_the_focus(opened):
    def wheel(by):
        opened.execute_cdp_cmd("Input.dispatchMouseEvent", event | {"deltaY": by})
        time.sleep(0.1)
        return find(opened, "#zoom").text

    opened.execute_script("document.querySelector('#stage').scrollIntoView({behavior: 'instant'})")
    left, top, *_ = box(opened, "#stage")
    event = {"type": "mouseWheel", "x": left + 50, "y": top + 50, "deltaX": 0}
    assert wheel(-60) == "100 %"
    opened.execute_script("document.querySelector('#stage').focus()")
    left, top, *_ = box(opened, "#stage")
    event |= {"x": left + 50, "y": top + 50}
    assert wheel(-60) != "100 %"
