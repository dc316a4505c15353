"""An executed page of the runbook in a browser: on a phone, in the dark, on paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from selenium import webdriver

from nexus_reimport import show
from nexus_reimport.record.notebooks import rendering
from nexus_reimport.show.page import Page, bundle, table
from support.browsers import look_at
from support.shown import PLAN, REPORT

PHONE, PAPER = 390, 718  # pixels: A4 without its margins
# Elements that reach beyond the right edge, other than what scrolls within itself.
TOO_WIDE = (
    "return [...document.querySelectorAll('body *')].filter(one => !one.closest('.wide')"
    " && one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 80))"
)
# Words that take more than one line: their letters alone give no place to break.
BROKEN = """
    const broken = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode, cell = text.parentElement.closest(arguments[0]);
        if (!cell || !cell.checkVisibility()) continue;
        for (const word of text.data.matchAll(/[a-z]{3,}/gi)) {
            const range = document.createRange();
            range.setStart(text, word.index);
            range.setEnd(text, word.index + word[0].length);
            if (range.getClientRects().length > 1) broken.push(word[0]);
        }
    }
    return broken;
"""
CUT = (
    "return [...document.querySelectorAll('table')].filter("
    "one => one.getBoundingClientRect().right > arguments[0] + 1).length"
)
# What names what follows it, and may stand alone at the foot of a sheet.
ALONE_ON_PAPER = """
    const names = 'h1, h2, h3, caption, summary, thead', firsts = 'tbody > tr:first-child';
    const style = one => getComputedStyle(one);
    return [
        ...[...document.querySelectorAll(names)].filter(one => style(one).breakAfter !== 'avoid'),
        ...[...document.querySelectorAll(firsts)].filter(one => style(one).breakBefore !== 'avoid'),
    ].map(one => one.outerHTML.slice(0, 80));
"""

LONG = "It is as it was, as far as anybody who has looked at it can say. " * 3
WORDS = f"# 1. Preflight\n\n## The plan\n\n| | |\n|---|---|\n| changes clinic data? | {LONG} |"
KEYS = "1eeb8a43-b124-5240-95b2-589a2b88441d, " * 5
WIDE = table(
    "Values that differ",
    "entity | column | reason | rows | decision | for example",
    [("appointments", "filemaker_metadata.ndis.coordinator_name", LONG, 3, "UNDECIDED", KEYS)],
)
CHECKED = replace(REPORT, results=tuple(replace(r, claim=LONG) for r in REPORT.results))


@pytest.fixture
def page(tmp_path: Path) -> str:
    """The address of a page with a plan, checks and a picture."""
    cells = [nbformat.v4.new_markdown_cell(WORDS)]
    for shown in (show.plan(PLAN), Page("Wide", (WIDE,)), show.report(CHECKED), show.flow(PLAN)):
        output = nbformat.v4.new_output("display_data", data=bundle(shown)[0])
        cells.append(nbformat.v4.new_code_cell("show.it(book)", outputs=[output]))
    path = tmp_path / "01_preflight.html"
    path.write_text(rendering.html(nbformat.v4.new_notebook(cells=cells), "01_preflight"))
    return path.as_uri()


@pytest.fixture
def browser(chromium: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    yield chromium
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def seen(browser: webdriver.Chrome, address: str, width: int, media: str, scheme: str) -> None:
    """Show a page as wide as a device, on its medium, in its colours."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    browser.get(address)


def test_on_a_phone_nothing_scrolls_sideways_but_a_wide_table(
    browser: webdriver.Chrome, page: str, shots: Path | None
) -> None:
    seen(browser, page, PHONE, "screen", "light")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE
    assert browser.execute_script(TOO_WIDE) == []
    assert browser.execute_script(BROKEN, "table, caption") == []
    checks = "return [...document.querySelectorAll('.checks table')].map(one => one.offsetWidth)"
    widths = browser.execute_script(checks)
    assert widths
    assert max(widths) <= PHONE, "what to do is beside what was found, or below it, and in sight"
    look_at(browser, shots, "01-on-a-phone")


def test_in_the_dark_words_are_light_on_dark(browser: webdriver.Chrome, page: str) -> None:
    def colours() -> list[int]:
        style = "getComputedStyle(document.body)"
        script = f"return [{style}.color, {style}.backgroundColor]"
        found = browser.execute_script(script)
        return [int(text.split("(")[1].split(",")[0]) for text in found]

    seen(browser, page, 1280, "screen", "light")
    ink, ground = colours()
    assert ink < ground
    seen(browser, page, 1280, "screen", "dark")
    ink, ground = colours()
    assert ink > ground


def test_on_paper_every_column_is_there_and_nothing_is_folded(
    browser: webdriver.Chrome, page: str
) -> None:
    seen(browser, page, PAPER, "print", "dark")
    assert browser.execute_script(CUT, PAPER) == 0
    assert browser.execute_script(BROKEN, "td:first-child") == []
    heights = browser.execute_script(
        "return [...document.querySelectorAll('section details table')].map(t => t.offsetHeight)"
    )
    assert heights
    assert min(heights) > 0
    alone = browser.execute_script(ALONE_ON_PAPER)
    assert alone == [], "what names a table or a picture stands on the sheet on which it begins"
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)", "paper is white, whatever the screen is"


def test_a_picture_is_shown_and_no_script_and_no_other_host_is_needed(
    browser: webdriver.Chrome, page: str
) -> None:
    browser.get_log("browser")
    seen(browser, page, 1280, "screen", "light")
    widths = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert widths
    assert min(widths) > 0
    assert browser.get_log("browser") == []
