"""Chromium without a window, driven by Debian's own driver; nothing is fetched from anywhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from selenium import webdriver
from selenium.common.exceptions import (
    InvalidSessionIdException,
    TimeoutException,
    WebDriverException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from support.pages import TOKEN, ServedPage

T = TypeVar("T")
LONG = 300.0  # seconds: a whole run, on a machine that has other things to do
AGAIN = 0.5  # second between two looks: each takes a share of a processor from what is waited for
TEXT = "return document.getElementById(arguments[0]).innerText"  # what is visible, in one question
_EVERY = "[...document.querySelectorAll('button')]"
BUTTONS = f"return {_EVERY}.map(one => [one.innerText.trim(), one.matches(':enabled')])"
BUTTON = f"return {_EVERY}.find(one => one.innerText.trim() === arguments[0])"
QUIET = (
    "--headless",
    "--no-sandbox",  # as root it has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@contextmanager
def started(folder: Path, *more: str, scripts: bool = True) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in (*QUIET, f"--user-data-dir={folder}", *more):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not scripts:
        blocked = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", blocked)
    service = webdriver.ChromeService(str(shutil.which("chromedriver")))
    driver = webdriver.Chrome(options, service)
    try:
        driver.set_page_load_timeout(60)
        # Else no page of a browser without a screen may count as the one in front.
        driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        yield driver
    finally:
        driver.quit()


def sign_in(browser: webdriver.Chrome, page: ServedPage, token: str = TOKEN) -> None:
    """Go to the page, be led to the login, type the token."""
    browser.get(page.url)
    old = browser.find_element(By.TAG_NAME, "html")
    field = browser.find_element(By.NAME, "password")
    field.send_keys(token, Keys.ENTER)
    _wait_for_another(browser, old, "the login did nothing")


def _wait_for_another(browser: webdriver.Chrome, old: WebElement, what: str) -> None:
    """Wait until the document that ``old`` belongs to was replaced.

    The driver says it with several errors, of which selenium's own ``staleness_of`` knows one.
    """

    def is_gone(_: object) -> bool:
        try:
            old.is_enabled()
        except InvalidSessionIdException:
            raise
        except WebDriverException:
            return True
        return False

    WebDriverWait(browser, LONG, 0.1).until(is_gone, what)


def text_of(browser: webdriver.Chrome, place: str) -> str:
    """What a part of the page says, in one line; while it is replaced, as soon as it is there."""

    def shown() -> tuple[str]:
        return (str(browser.execute_script(TEXT, place)),)

    (text,) = until_given(browser, shown, f"there is no {place}", 10)
    return " ".join(text.split())


def until_given(
    browser: webdriver.Chrome, found: Callable[[], T], what: str = "", seconds: float = LONG
) -> T:
    """What is found, tried again while the page is being replaced under our hands."""

    def tried(_: object) -> T | None:
        try:
            return found()
        except InvalidSessionIdException:
            raise
        except WebDriverException:  # an element, or a document, of the page before
            return None

    return WebDriverWait(browser, seconds, AGAIN).until(tried, what)


def wait_for(browser: webdriver.Chrome, place: str, words: str, seconds: float = LONG) -> str:
    """What a part of the page says as soon as it says ``words``."""

    def said() -> str:
        text = text_of(browser, place)
        return text if words in text else ""

    try:
        return until_given(browser, said, "", seconds)
    except TimeoutException:
        main = text_of(browser, "main")
        raise AssertionError(f"{place} did not say {words!r}; the page says: {main}") from None


def at_rest(browser: webdriver.Chrome, page: ServedPage) -> None:
    """Show the page anew when nothing is being read any more: it stays as it is from then on."""

    def quiet() -> bool:
        browser.get(page.url)
        text = text_of(browser, "main")
        return not any(f"being {what} …" in text for what in ("read", "asked", "looked at"))

    until_given(browser, quiet, "something is being read for ever")


def buttons(browser: webdriver.Chrome) -> dict[str, bool]:
    """Each button by its label, and whether it can be pressed."""

    def found() -> dict[str, bool]:
        return dict(browser.execute_script(BUTTONS))

    return until_given(browser, found, "there are no buttons", LONG)


def press(browser: webdriver.Chrome, label: str) -> None:
    """Press the button that is called so, with the keyboard, and wait for the next page."""
    pages = []  # the page may show itself anew before the button is pressed: the last counts

    def pressed() -> bool:
        pages.append(browser.find_element(By.TAG_NAME, "html"))
        button: WebElement | None = browser.execute_script(BUTTON, label)
        if button is None or not button.is_enabled():
            return False
        button.send_keys(Keys.ENTER)
        return True

    until_given(browser, pressed, f"no button {label!r} can be pressed", LONG)
    _wait_for_another(browser, pages[-1], f"{label!r} did nothing")


def follow(browser: webdriver.Chrome, label: str) -> None:
    """Click on the link that is called so; until that is done, the page may show itself anew."""

    def followed() -> bool:
        browser.find_element(By.LINK_TEXT, label).click()
        return True

    until_given(browser, followed, f"no link {label!r} can be followed")


def value_of(browser: webdriver.Chrome, xpath: str) -> str:
    """The text of what is found by ``xpath``."""
    return until_given(browser, lambda: browser.find_element(By.XPATH, xpath).text, xpath, LONG)


def type_into(browser: webdriver.Chrome, prefix: str = "", **values: str) -> None:
    """Fill in fields of a form."""

    def filled() -> bool:
        for name, value in values.items():
            field = browser.find_element(By.ID, prefix + name)
            field.clear()
            field.send_keys(value)
        return all(
            browser.find_element(By.ID, prefix + name).get_attribute("value") == value
            for name, value in values.items()
        )

    until_given(browser, filled, f"the form {prefix!r} could not be filled in", LONG)


def choose(browser: webdriver.Chrome, line: str) -> None:
    """Choose a line of the sign-off."""

    def chosen() -> bool:
        Select(browser.find_element(By.ID, "sign-line")).select_by_value(line)
        return browser.find_element(By.ID, "sign-line").get_attribute("value") == line

    until_given(browser, chosen, f"{line} could not be chosen")


def look_at(browser: webdriver.Chrome, folder: Path | None, name: str, width: int = 1280) -> None:
    """Keep a picture of the whole page, where somebody wants to look at it."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    browser.set_window_size(width, 900)  # first: in a narrow window the page is longer
    height = browser.execute_script("return document.documentElement.scrollHeight")
    browser.set_window_size(width, height + 150)
    browser.save_screenshot(str(folder / f"{name}.png"))
    browser.set_window_size(width, 900)
