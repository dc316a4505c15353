"""Pages that were stepped through by hand: private copies, cleaned and sealed like papermill's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from nexus_reimport import PACKAGE, record, runner, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import RecordError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import Run, lab_pages
from nexus_reimport.record.notebooks import marks, pages
from nexus_reimport.record.sealed import bag as bags
from nexus_reimport.runner import lab as copies
from nexus_reimport.runner.lab import Lab
from nexus_reimport.runner.notebook import FOLDER
from support.clinic import PASSWORD, Clinic
from support.executing import outputs_of
from support.leaking import leaks
from support.running import DEV

BEGIN = f"from nexus_reimport import runbook, show\nbook = runbook.begin('{DEV}')"
RESUME = f"from nexus_reimport import runbook, show\nbook = runbook.resume('{DEV}')"
OF_PACKAGE = "from nexus_reimport.stages import approval\n"
UPDATED = f"{OF_PACKAGE}kept, approval.code_digest = approval.code_digest, lambda: 'updated'"
NOT_UPDATED = "approval.code_digest = kept"
WRONG_SECRET = re.compile("(NEXUS_SANDBOX_S3_SECRET_KEY)=.*")
MADE_UP = "those of a made-up clinic"
SHOWN = "show.Page('One page', ())"


@dataclass
class Session:
    """One page of a lab and its kernel, as JupyterLab has them."""

    path: Path
    page: Any
    client: NotebookClient

    def run(self, *sources: str) -> None:
        """Write cells at the end and execute them; nothing is saved."""
        for source in sources:
            self.page.cells.append(nbformat.v4.new_code_cell(source))
            self.client.execute_cell(self.page.cells[-1], len(self.page.cells) - 1)

    def begin(self) -> None:
        """Open a run, as the first page does."""
        self.run(BEGIN)
        assert self.page.cells[-1].outputs == []

    def save(self) -> None:
        """Save the page."""
        nbformat.write(self.page, self.path)


@pytest.fixture
def lab(clinic: Clinic) -> Lab:
    return copies.prepare(DEV, browser=False)


@pytest.fixture
def session(lab: Lab) -> Iterator[Session]:
    """A page of that lab, open in a kernel."""
    path = lab.folder / "page.ipynb"
    page = nbformat.v4.new_notebook()
    client = NotebookClient(page, kernel_name="python3", allow_errors=True)
    variables = {**lab.variables, "JPY_SESSION_NAME": str(path)}
    with client.setup_kernel(env=variables, cwd=str(lab.folder)):
        yield Session(path, page, client)


def only_run() -> Run:
    (run,) = record.every(environments.load(DEV))
    return run


def test_a_lab_holds_fresh_copies_of_the_pages_for_their_owner_alone(lab: Lab) -> None:
    shipped = {path.name: path.read_bytes() for path in FOLDER.glob("*.ipynb")}
    assert {path.name for path in lab.folder.glob("*.ipynb")} == shipped.keys()
    for path in lab.folder.glob("*.ipynb"):
        cells = pages.read(path).cells
        assert [c for c in cells if c.get("outputs") or c.get("execution_count")] == []
        # What the shipped page says of its stored outputs does not hold for those that come here.
        assert [c for c in cells if MADE_UP in c.source or "](../" in c.source] == []
    assert private.exposed(lab.folder) == private.Exposed((), ())
    other = copies.prepare(DEV, browser=False)
    assert other.folder != lab.folder
    assert lab.command[lab.command.index("--ServerApp.root_dir") + 1] == str(lab.folder)
    assert lab.variables[environments.ENVIRONMENT_VARIABLE] == DEV


def test_a_page_that_was_stepped_through_comes_into_the_record_clean(
    clinic: Clinic, session: Session
) -> None:
    name = clinic.made_up.canaries()["name"][0]
    session.begin()
    session.run(SHOWN, f"print({name!r})", "1 / 0", SHOWN)
    run = only_run()
    (opened,) = [e for e in run.events() if e.event is Event.BY_HAND]
    assert opened.text("lab") == session.path.parent.name
    session.page.cells[2].source = "print('a name')"
    shipped = pages.read(FOLDER / "01_preflight.ipynb").cells[0]
    assert MADE_UP in shipped.source
    session.page.cells.append(shipped)
    session.page.cells.append(nbformat.v4.new_code_cell(""))  # as Shift-Enter in the last cell does
    session.save()
    sealed = runner.seal(DEV)
    assert (sealed.sealed, sealed.error) == (True, ""), sealed.error
    assert "PARTIAL, exit code 1, stepped through by hand" in sealed.summary
    page = pages.read(run.folder / "page.ipynb")
    assert "Stepped through by hand" in page.cells[1].source
    assert "Cells that were executed: 5 of 5" in page.cells[1].source
    assert "1, 2, 3, 4, 5 (once each, from the top)" in page.cells[1].source
    kinds = [o.metadata[marks.NAME].get("facts", {}) for cell in outputs_of(run) for o in cell]
    assert {"withheld": {"stdout": 1}} in kinds
    assert kinds.count({}) == 2
    shown = (run.folder / "page.html").read_text()
    assert "Stepped through by hand" in shown
    assert MADE_UP not in shown, "these outputs are the run's own"
    texts = [(p.name, p.read_text()) for p in run.bag.rglob("*") if p.is_file()]
    assert leaks(clinic, texts) == []
    assert run.problems() == []


def test_what_ends_a_cell_is_four_lines_and_no_traceback(clinic: Clinic, session: Session) -> None:
    session.run("book.plan()")
    session.begin()
    session.run(
        "book.sign_off()", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)", "1 / 0"
    )
    early, _, ours, interrupted, foreign = [cell.outputs for cell in session.page.cells]
    assert [kind(o) for o in early] == ["Stopped"]
    assert "run the cell at the top first" in early[0].data["text/plain"]
    assert [kind(o) for o in ours] == ["That cannot be done now"]
    assert [kind(o) for o in interrupted] == ["Stopped"]
    assert f"run {only_run().id}" in interrupted[0].data["text/plain"]
    assert "state: the database is as it was" in str(interrupted[0].data)
    assert [kind(o) for o in foreign] == ["ZeroDivisionError"], "another's error stays as it is"


def test_a_page_that_opened_no_run_does_not_go_on_with_the_one_of_before(
    clinic: Clinic, session: Session
) -> None:
    """A page of yesterday showed yesterday's plan as what this run does once it is approved."""
    session.begin()
    assert runner.seal(DEV, as_saved=True).sealed
    session.run(RESUME, "book.approved_plan()")
    _, resumed, below = [str(cell.outputs) for cell in session.page.cells]
    assert f"{DEV} has no open run" in resumed
    assert "`book` is not known yet" in below
    assert "a cell above was not run, or has stopped" in below


def kind(output: Any) -> str:
    """The first line of what a cell shows; the name of an error that is shown as one."""
    return output.get("ename") or output.data["text/plain"].splitlines()[0]


def test_what_is_not_saved_is_asked_for_and_can_be_left(clinic: Clinic, session: Session) -> None:
    session.begin()
    session.run(SHOWN)
    session.save()
    session.run(SHOWN.replace("One", "Another"))
    asked = runner.seal(DEV)
    assert (asked.sealed, asked.exit_code) == (False, 1), "the exit code is that of the run"
    assert "executed again after it was last saved: page" in asked.error
    assert "--as-saved" in asked.error
    session.save()
    assert lab_pages.unsaved(only_run()) == ()
    session.run(SHOWN.replace("One", "A third"))
    sealed = runner.seal(DEV, as_saved=True)
    assert sealed.sealed
    assert "stepped through by hand, pages not saved to the end" in sealed.summary
    run = only_run()
    assert [e.line["pages"] for e in run.events() if e.event is Event.UNSAVED] == [["page"]]
    assert "Another page" in (run.folder / "page.html").read_text()
    assert "A third page" not in (run.folder / "page.html").read_text()


def test_a_real_environment_is_stepped_through_in_a_lab_of_its_own(session: Session) -> None:
    real = (
        "from nexus_reimport import settings\n"
        "from nexus_reimport.record import lab_pages\n"
        f"real = settings.load('{DEV}').model_copy(update={{'sandbox': False}})\n"
    )
    session.run(real + "lab_pages.require_own(real)")
    other = real + "lab_pages.require_own(real.model_copy(update={'name': 'prod'}))"
    session.run(other)
    session.run(f"import os\ndel os.environ['{marks.LAB_VARIABLE}']\nlab_pages.require_own(real)")
    first, second, third = [str(cell.outputs) for cell in session.page.cells]
    assert first == "[]"
    assert "these pages were opened for another environment than prod" in second
    assert f"{DEV} is stepped through in copies of the pages, and this is none" in third


def test_a_step_does_not_use_a_file_that_was_changed_since_the_page_read_it(
    clinic: Clinic, session: Session
) -> None:
    """A password that was corrected would be tried again as it was: FileMaker locks the account."""
    shutil.copy(PACKAGE / "mappings" / "nexus.toml", clinic.folder / "own.toml")
    clinic.edit(DEV, 'mapping = "nexus"', 'mapping = "own.toml"')
    secrets = clinic.folder / f".env.{DEV}"
    right = secrets.read_text()
    secrets.write_text(right.replace(PASSWORD, "mistyped"))
    session.run(BEGIN, "show.snapshot(book.snapshot())")
    secrets.write_text(right)
    asked = clinic.simulator.requests.total()
    session.run("show.snapshot(book.snapshot())")
    clinic.edit(DEV, 'past_scheduled = "keep"', 'past_scheduled = "completed"')
    with (clinic.folder / "own.toml").open("a") as mapping:
        mapping.write("# the same, and a remark\n")
    session.run("show.snapshot(book.snapshot())")
    assert clinic.simulator.requests.total() == asked, "FileMaker was not asked again"
    opened, refused, corrected, decided = [str(cell.outputs) for cell in session.page.cells]
    assert opened == "[]"
    assert "account or password is wrong" in refused
    assert "changed since this page read it: filemaker" in corrected
    assert "run this page from the top, which reads it again" in corrected
    assert "changed since this page read it: filemaker, decisions, the mapping" in decided
    session.run(BEGIN, "book.census()", "book.snapshot()")
    assert "changed since" not in str(session.page.cells[-2:])


def test_a_step_after_commit_says_what_stands_and_goes_on_with_what_was_corrected(
    clinic: Clinic, rehearsed: Path, session: Session
) -> None:
    """Else 03 says "nothing was written", and tries a secret that was corrected as it was."""
    clinic.approved(rehearsed)
    secrets = clinic.folder / f".env.{DEV}"
    right = secrets.read_text()
    session.run(RESUME, "show.applied(book.apply())")
    secrets.write_text(WRONG_SECRET.sub(r"\1=revoked", right))
    session.run(RESUME, "show.report(book.verify())")
    secrets.write_text(right)
    session.run("show.report(book.verify())", RESUME, "show.report(book.verify())")
    session.run(f"{UPDATED}\nbook.sign_off()", NOT_UPDATED)
    clinic.edit(DEV, 'past_scheduled = "keep"', 'past_scheduled = "completed"')
    session.run("book.sign_off()")
    _, committed, _, refused, corrected, _, verified, updated, _, not_signed_off = [
        str(cell.outputs) for cell in session.page.cells
    ]
    assert "Committed" in committed
    assert "the secret key is wrong" in refused
    left = "state: the database is reimported, and not verified yet; this step wrote nothing"
    assert left in refused
    assert "changed since this page read it: s3" in corrected
    assert left in corrected
    assert "Checks after" in verified
    assert "was changed since this page loaded it" in updated
    assert left in updated
    assert "changed since this page read it: decisions" in not_signed_off


@pytest.mark.parametrize("step", ["drift()", "approve('0')", "apply()"])
def test_no_step_uses_what_was_changed_since_the_page_read_it(
    clinic: Clinic, rehearsed: Path, session: Session, step: str
) -> None:
    clinic.approved(rehearsed)
    before = clinic.rows("SELECT count(*), max(updated_at) FROM patients")
    session.run(RESUME, f"{UPDATED}\nbook.{step}", RESUME, f"book.{step}")
    told = [str(cell.outputs) for cell in session.page.cells]
    for text in (told[1], told[3]):
        assert "a library of it, was changed since this page loaded it" in text
        assert "restart the kernel, and run this page from the top" in text
    session.run(NOT_UPDATED)
    clinic.edit(DEV, 'past_scheduled = "keep"', 'past_scheduled = "completed"')
    session.run(f"book.{step}")
    assert "changed since this page read it: decisions" in str(session.page.cells[-1].outputs)
    assert clinic.rows("SELECT count(*), max(updated_at) FROM patients") == before


def test_a_run_that_is_sealed_without_a_page_says_so(clinic: Clinic) -> None:
    run = record.create(environments.load(DEV))
    sealed = runner.seal(DEV)
    assert "PARTIAL, exit code 1, without pages" in sealed.summary
    assert "without pages" in (run.bag / bags.README).read_text()
    assert "without pages" in show.summary(run)


def test_a_lab_is_not_opened_where_others_can_read_the_private_files(clinic: Clinic) -> None:
    copies.prepare(DEV, browser=False)
    settings = environments.load(DEV)
    folder = settings.folders.private / DEV
    folder.chmod(0o750)
    with pytest.raises(RecordError) as refused:
        copies.prepare(DEV, browser=False)
    assert refused.value.next == f"chmod -R go-rwx {folder}"
