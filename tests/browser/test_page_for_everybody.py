"""The page for people who do not see well, have no mouse, a small screen, or paper."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from support.axe import found_by_axe, prefers, window
from support.browsers import at_rest, look_at, press, sign_in, wait_for
from support.clinic import Clinic
from support.pages import ServedPage

LABELS = """
    const cells = [...document.querySelectorAll('.stack td[data-label]')];
    return [...new Set(cells.map(one => getComputedStyle(one, '::before').whiteSpace))];
"""
CUT_OFF = """
    const regions = [...document.querySelectorAll('.scroll:has(.stack)')];
    return regions.filter(one => one.scrollWidth > one.clientWidth).map(one => one.ariaLabel);
"""
# What names what follows it, and may stand alone at the foot of a sheet.
ALONE_ON_PAPER = """
    const names = [...document.querySelectorAll('h1, h2, h3, caption, summary, thead')];
    return names.filter(one => getComputedStyle(one).breakAfter !== 'avoid')
        .map(one => one.outerHTML.slice(0, 80));
"""


@pytest.fixture
def signed_in(chromium: webdriver.Chrome, page: ServedPage) -> Iterator[webdriver.Chrome]:
    """The page with all that was read, by somebody who is signed in."""
    chromium.set_window_size(1280, 900)
    chromium.get(page.url)
    if "Sign in" in chromium.title:
        sign_in(chromium, page)
    wait_for(chromium, "connections", "S3 connected")
    wait_for(chromium, "status", "Patients")
    at_rest(chromium, page)
    yield chromium
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    signed_in: webdriver.Chrome, page: ServedPage, shown: Clinic, scheme: str, shots: Path | None
) -> None:
    prefers(signed_in, scheme)
    signed_in.get(page.url)
    press(signed_in, "Look first")
    wait_for(signed_in, "way-back", "Rows that are put back")
    at_rest(signed_in, page)
    look_at(signed_in, shots, f"8 {scheme}")
    assert found_by_axe(signed_in) == []
    run = shown.made_once("executed_once").run
    for path in (f"/runs/{run}", "/nothing"):
        signed_in.get(page.url + path)
        assert found_by_axe(signed_in) == []
    signed_in.delete_all_cookies()
    signed_in.get(page.url)
    assert found_by_axe(signed_in) == []


def test_the_page_can_be_used_by_keyboard_alone(signed_in: webdriver.Chrome) -> None:
    seen = []
    for _ in range(80):
        signed_in.switch_to.active_element.send_keys(Keys.TAB)
        here = signed_in.switch_to.active_element
        if here.tag_name == "body":
            break
        seen.append(here.text.strip() or here.accessible_name)
        outline = here.value_of_css_property("outline-style")
        assert outline != "none", f"{seen[-1]} does not show that it is in focus"
    buttons = ["Log out", "Read again", "Test again", "Start dry run", "Look first"]
    wanted = ["Skip to the content", *buttons]
    assert [name for name in seen if name in wanted] == wanted
    skip = signed_in.find_element(By.CLASS_NAME, "skip")
    signed_in.execute_script("arguments[0].focus()", skip)  # it is seen only while it is in focus
    signed_in.switch_to.active_element.send_keys(Keys.ENTER)
    assert signed_in.switch_to.active_element.get_attribute("id") == "main"


@pytest.mark.parametrize(("width", "zoom"), [(390, 1.0), (1280, 2.0)])
def test_nothing_is_wider_than_the_window(
    signed_in: webdriver.Chrome, page: ServedPage, width: int, zoom: float, shots: Path | None
) -> None:
    window(signed_in, width, zoom)
    signed_in.get(page.url)
    signed_in.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    wide = signed_in.execute_script("return document.documentElement.scrollWidth")
    tables = (
        "return Math.max(...[...document.querySelectorAll('table')].map(one => one.offsetWidth))"
    )
    if width < 640:
        assert signed_in.execute_script(tables) <= width, "each row is a block of its own"
        assert signed_in.execute_script(LABELS) == ["normal"], "no name runs into its number"
        assert signed_in.execute_script(CUT_OFF) == [], "nothing is cut off where nobody scrolls"
    if shots:
        height = signed_in.execute_script("return document.documentElement.scrollHeight")
        whole = {"x": 0, "y": 0, "width": width / zoom, "height": height, "scale": 1}
        given = {"captureBeyondViewport": True, "clip": whole}
        picture = signed_in.execute_cdp_cmd("Page.captureScreenshot", given)["data"]
        (shots / f"9 {width} at {zoom:g}.png").write_bytes(base64.b64decode(picture))
    assert wide <= int(width / zoom)


def test_it_is_printed_without_buttons_and_with_all_of_its_numbers(
    signed_in: webdriver.Chrome, shots: Path | None
) -> None:
    signed_in.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        visible = [b for b in signed_in.find_elements(By.TAG_NAME, "button") if b.is_displayed()]
        assert visible == []
        assert signed_in.find_element(By.ID, "status").is_displayed()
        assert signed_in.execute_script(ALONE_ON_PAPER) == []
    finally:
        signed_in.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    printed = base64.b64decode(signed_in.print_page())
    assert printed.startswith(b"%PDF")
    if shots:
        (shots / "print.pdf").write_bytes(printed)


def test_the_browser_has_nothing_to_complain_about(
    signed_in: webdriver.Chrome, page: ServedPage
) -> None:
    signed_in.get_log("browser")
    signed_in.get(page.url)
    said = [line["message"] for line in signed_in.get_log("browser") if line["level"] == "SEVERE"]
    assert said == []
