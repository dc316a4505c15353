"""What axe-core finds on a page, in a window of some width, in light or dark."""

from __future__ import annotations

from typing import Any

from selenium import webdriver

from nexus_reimport import CHECKOUT
from support.browsers import until_given

AXE = CHECKOUT / "tests" / "browser" / "axe.min.js"
SERIOUS = {"serious", "critical"}


def window(browser: webdriver.Chrome, width: int, zoom: float = 1.0) -> None:
    """A window of so many points, its letters so large."""
    metrics = {"width": int(width / zoom), "height": 900, "deviceScaleFactor": zoom}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**metrics, "mobile": False})


def prefers(browser: webdriver.Chrome, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def found_by_axe(browser: webdriver.Chrome) -> list[str]:
    """What axe finds that is serious: rule, and where."""
    program = AXE.read_text(encoding="utf-8")
    program += "\nconst done = arguments[arguments.length - 1]; axe.run().then(done);"
    result: dict[str, Any] = until_given(browser, lambda: browser.execute_async_script(program))
    assert len(result["passes"]) > 20, "it has looked"
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in result["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
