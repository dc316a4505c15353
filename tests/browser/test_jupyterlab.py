"""The runbook, stepped through by hand in a real JupyterLab: opened, run, saved, sealed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium import webdriver

from nexus_reimport import record, runner
from nexus_reimport import settings as environments
from nexus_reimport.events import Event
from nexus_reimport.model import Proposal, RollbackProposal
from nexus_reimport.record import Verdict
from nexus_reimport.record.notebooks import pages
from nexus_reimport.runner import lab as copies
from nexus_reimport.runner.lab import Lab
from nexus_reimport.runner.notebook import FOLDER
from support.browsers import LONG, until_given
from support.clinic import Clinic
from support.leaking import leaks
from support.running import DEV, until

EXPOSED = "--LabApp.expose_app_in_browser=True"  # for the commands below its menus
PAGES = ("01_preflight", "02_execute", "03_verify")
TIMES = "03-06"  # a cell that only shows something
NOTEBOOK = "const book = window.jupyterapp?.shell.currentWidget;"
READY = (
    f"{NOTEBOOK} return book?.context?.path === arguments[0] && book.context.isReady"
    " && book.content.widgets.length > 0"
    " && book.sessionContext?.session?.kernel?.status === 'idle'"
)
FILL_IN = (
    f"{NOTEBOOK} for (const cell of book.content.widgets)"
    " if ((cell.model.getMetadata('tags') || []).includes('parameters'))"
    " cell.model.sharedModel.setSource(cell.model.sharedModel.getSource() + arguments[0])"
)
SELECT = (
    f"{NOTEBOOK} book.content.activeCellIndex ="
    " book.content.widgets.findIndex(cell => cell.model.id === arguments[0]);"
    " return book.content.activeCellIndex"
)
COMMAND = (
    "window.ended = ''; window.jupyterapp.commands.execute(...arguments)"
    ".then(() => window.ended = 'done', error => window.ended = String(error))"
)


@dataclass(frozen=True)
class JupyterLab:
    """A JupyterLab in a browser, used by its own commands: those of its menus."""

    browser: webdriver.Chrome
    address: str
    token: str

    def open(self, page: str) -> None:
        """Show a page, its kernel ready: the first one by its address, others beside it."""
        path = f"{page}.ipynb"
        if self.browser.current_url.startswith(self.address):
            self.does("docmanager:open", {"path": path})
        else:
            self.browser.get(f"{self.address}/lab/tree/{path}?reset&token={self.token}")
        until_given(
            self.browser, lambda: self.browser.execute_script(READY, path), f"{page} is not open"
        )

    def fill_in(self, **parameters: str) -> None:
        """Write parameters below those of the page, as a person does."""
        text = "".join(f"\n{name} = {value!r}" for name, value in parameters.items())
        self.browser.execute_script(FILL_IN, text)

    def does(self, command: str, *arguments: dict[str, str]) -> None:
        """One command, to its end."""
        self.browser.execute_script(COMMAND, command, *arguments)
        ended = until_given(
            self.browser,
            lambda: self.browser.execute_script("return window.ended"),
            f"{command} did not end",
        )
        assert ended == "done"

    def run_again(self, cell: str) -> None:
        """One cell by itself; nothing is saved."""
        assert self.browser.execute_script(SELECT, cell) > 0
        self.does("notebook:run-cell")


@pytest.fixture
def undone(clinic: Clinic) -> record.Run:
    """A run that was executed; there before the pages are copied."""
    return clinic.executed().run


@pytest.fixture
def lab(clinic: Clinic) -> Lab:
    """Copies of the pages, in a JupyterLab that saves when it is told to: not every two minutes."""
    prepared = copies.prepare(DEV, browser=False)
    place = Path(prepared.variables["JUPYTER_CONFIG_DIR"]) / "lab/user-settings"
    place /= "@jupyterlab/docmanager-extension"
    place.mkdir(parents=True)
    (place / "plugin.jupyterlab-settings").write_text('{"autosave": false}')
    return prepared


@pytest.fixture
def jupyterlab(lab: Lab, chromium: webdriver.Chrome, tmp_path: Path) -> Iterator[JupyterLab]:
    """It, started as the command starts it."""
    before = os.umask(0o077)
    with (tmp_path / "jupyterlab.log").open("wb") as log:
        server = subprocess.Popen(
            [*lab.command, EXPOSED], env=lab.variables, stdout=log, stderr=subprocess.STDOUT
        )
    os.umask(before)
    try:
        told = said_at_start(lab, server)
        yield JupyterLab(chromium, f"http://127.0.0.1:{told['port']}", told["token"])
    finally:
        chromium.get("about:blank")
        server.terminate()
        server.wait(LONG)


def said_at_start(lab: Lab, server: subprocess.Popen[bytes]) -> dict[str, str]:
    """What the server writes down as soon as it serves: its port, its token."""
    place, told = Path(lab.variables["JUPYTER_RUNTIME_DIR"]), {}
    end = time.monotonic() + LONG
    while not told:
        assert server.poll() is None, "JupyterLab has ended; see jupyterlab.log"
        assert time.monotonic() < end, "JupyterLab did not start; see jupyterlab.log"
        time.sleep(0.1)
        for path in place.glob("jpserver-*.json"):
            text = path.read_text()
            told = json.loads(text) if text.rstrip().endswith("}") else {}
    return told


def test_the_runbook_is_stepped_through_in_a_jupyterlab(
    clinic: Clinic, lab: Lab, jupyterlab: JupyterLab
) -> None:
    shipped = {path.name: path.read_bytes() for path in FOLDER.glob("*.ipynb")}
    jupyterlab.open("01_preflight")
    jupyterlab.does("notebook:run-all-cells")
    (run,) = record.every(environments.load(DEV))
    jupyterlab.does("docmanager:save")
    jupyterlab.open("02_execute")
    jupyterlab.fill_in(approve=run.load(Proposal).digest, approved_by="Ada", reason="as agreed")
    jupyterlab.does("notebook:run-all-cells")
    jupyterlab.does("docmanager:save")
    jupyterlab.open("03_verify")
    jupyterlab.does("notebook:run-all-cells")
    jupyterlab.does("docmanager:save")
    jupyterlab.run_again(TIMES)
    until(lambda: not run.workers(), LONG)

    asked = runner.seal(DEV)
    assert (asked.sealed, asked.exit_code) == (False, 2)
    assert "executed again after it was last saved: 03_verify" in asked.error
    jupyterlab.does("docmanager:save")
    sealed = runner.seal(DEV)
    assert (sealed.sealed, sealed.exit_code, sealed.error) == (True, 0, "")
    assert "COMPLETE, exit code 0, stepped through by hand" in sealed.summary
    assert run.problems() == []

    lines = [e for e in run.events() if e.event is Event.PAGE]
    assert [line.text("by_hand") for line in lines] == [f"{lab.folder.name}/{p}" for p in PAGES]
    told = {page: head_of((run.folder / f"{page}.html").read_text()) for page in PAGES}
    for page in PAGES[:2]:
        count = sum(cell["cell_type"] == "code" for cell in pages.shipped(page))
        numbers = ", ".join(map(str, range(1, count + 1)))
        assert f"{count} of {count}; their numbers, from the top: {numbers} (once" in told[page]
    assert "1, 2, 3, 7, 5, 6 (run again, or in another order)" in told["03_verify"]
    assert all("0 changed, 0 added, 0 left out" in text for text in told.values())
    assert {p.name: p.read_bytes() for p in FOLDER.glob("*.ipynb")} == shipped
    texts = [(p.name, p.read_text()) for p in run.bag.rglob("*") if p.is_file()]
    assert leaks(clinic, texts) == []
    assert [name for name, text in texts if "those of a made-up clinic" in text] == []


def test_a_rollback_is_stepped_through_with_the_digest_that_its_page_shows(
    undone: record.Run, jupyterlab: JupyterLab
) -> None:
    """A person runs all, reads the digest, writes it above, and runs all again."""
    jupyterlab.open("90_rollback")
    jupyterlab.does("notebook:run-all-cells")
    first = record.every(environments.load(DEV))[-1]
    (failed,) = (e for e in first.events() if e.event is Event.FAILED)
    digest = first.load(RollbackProposal).digest
    assert f'write approve = "{digest[:12]}" into the second cell' in failed.text("next")
    jupyterlab.fill_in(approve=digest, approved_by="Ada", reason="as agreed")
    jupyterlab.does("notebook:run-all-cells")
    second = record.every(environments.load(DEV))[-1]
    jupyterlab.does("docmanager:save")
    until(lambda: not second.workers(), LONG)
    sealed = runner.seal(DEV)
    assert (sealed.sealed, sealed.exit_code, sealed.error) == (True, 0, "")
    assert "COMPLETE, exit code 0, stepped through by hand" in sealed.summary
    left = [(one.verdict(), one.undoes) for one in record.every(environments.load(DEV))]
    stopped, complete = (Verdict.STOPPED, undone.id), (Verdict.COMPLETE, undone.id)
    assert left == [(Verdict.COMPLETE, ""), stopped, complete]
    assert [one.problems() for one in record.every(environments.load(DEV))] == [[], [], []]


def head_of(page: str) -> str:
    """What a page says of how it came about, without its tags."""
    begin = page.index("Stepped through by hand")
    return re.sub(r"<[^>]+>", "", page[begin : begin + 1500])
