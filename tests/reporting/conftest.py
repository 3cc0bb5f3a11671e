"""A browser and a page, made once for all tests that look at it."""

import pytest
from tiny_run import write_tiles

from browser import chromium, show


@pytest.fixture(scope="session")
def driver():
    with chromium() as one:
        yield one


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """A page of 40 tiles, most of their photographs with hostile names."""
    return write_tiles(tmp_path_factory.mktemp("run"), 40, 32)


@pytest.fixture
def opened(driver, page):
    """The page, just opened in a wide window."""
    show(driver, page)
    return driver
