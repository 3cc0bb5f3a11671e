"""The viewer's list of tiles in a real browser: sorted, filtered, walked with keys."""

import numpy as np
from tiny_run import SOURCES

from browser import find, press


def list_of(driver):
    return driver.execute_script(
        """return [...document.querySelectorAll('#list [role="option"]')].map(
             (entry) => entry.lastChild.textContent)"""
    )


def numbers(texts):
    return [float(text.replace("−", "-").replace("±", "")) for text in texts]


def test_tiles_are_sorted_and_filtered(opened):
    from selenium.webdriver.support.ui import Select  # noqa: PLC0415 - may be absent

    order = Select(find(opened, "#order"))
    order.select_by_value("best")
    best = numbers(list_of(opened))
    assert best == sorted(best, reverse=True) and len(best) == 40
    order.select_by_value("worst")
    assert numbers(list_of(opened)) == sorted(best)
    order.select_by_value("median")
    distances = np.abs(np.array(numbers(list_of(opened))) - np.median(best))
    assert (np.diff(distances) > -0.011).all() and distances[-1] > distances[0]

    find(opened, "#at-least").send_keys("1")
    few = numbers(list_of(opened))
    assert 0 < len(few) == sum(gain >= 1 for gain in best) < 40
    status = find(opened, "#count")
    assert status.text == f"{len(few)} of 40 tiles" and status.get_attribute("aria-live")
    Select(find(opened, "#photograph")).select_by_visible_text(SOURCES[1])
    assert 0 < len(list_of(opened)) < len(few)
    assert find(opened, "#tile-name").text == SOURCES[1]
    find(opened, "#at-least").send_keys("00")
    assert list_of(opened) == [] and status.text == "0 of 40 tiles"
    Select(find(opened, "#gain-of")).select_by_visible_text("one sample")
    find(opened, "#at-least").clear()
    find(opened, "#at-least").send_keys("-9")
    Select(find(opened, "#photograph")).select_by_visible_text("all")
    assert numbers(list_of(opened)) != best and len(list_of(opened)) == 40


def test_the_list_is_walked_with_keys(opened):
    from selenium.webdriver import Keys  # noqa: PLC0415 - may be absent

    def chosen():
        return opened.execute_script(
            """const all = [...document.querySelectorAll('#list [role="option"]')];
               const one = document.querySelector('#list [aria-selected="true"]');
               return [all.indexOf(one), document.activeElement === one]"""
        )

    assert chosen() == [0, False]
    press(opened, '#list [aria-selected="true"]', Keys.ARROW_RIGHT)
    assert chosen() == [1, True]
    press(opened, '#list [aria-selected="true"]', Keys.END)
    assert chosen() == [39, True]
    press(opened, '#list [aria-selected="true"]', Keys.ARROW_DOWN, Keys.HOME)
    assert chosen() == [0, True]
