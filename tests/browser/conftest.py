"""Chromium, for all of these tests; clinic and page are those of the session.

Chromium and its driver are Debian's (`apt-get install chromium chromium-driver`). Without them
these tests fail: a page that nobody has looked at is not a page that works.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from support.browsers import started
from support.pages import ServedPage


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser of these tests' own."""
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    if missing:
        pytest.fail(
            f"{' and '.join(missing)} missing, so the page was tried in no browser:"
            " apt-get install chromium chromium-driver"
        )
    with started(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
def browser(chromium: webdriver.Chrome, page: ServedPage) -> webdriver.Chrome:
    """The browser, on the page, with nobody signed in yet."""
    chromium.get(f"{page.origin}/login")
    chromium.delete_all_cookies()
    chromium.set_window_size(1280, 900)
    return chromium


@pytest.fixture(scope="session")
def shots() -> Path | None:
    """Where to keep what was seen, for a person who wants to look."""
    given = os.environ.get("NEXUS_REIMPORT_SHOTS")
    if not given:
        return None
    folder = Path(given)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
