"""The page in each state that exists, for people who do not see well or have a small screen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from selenium import webdriver

from nexus_reimport import record, runner
from nexus_reimport import settings as environments
from nexus_reimport.errors import SourceError
from nexus_reimport.events import Event
from nexus_reimport.model import Plan
from nexus_reimport.record import Verdict
from nexus_reimport.record.journal import JOURNAL
from support.axe import found_by_axe, prefers, window
from support.browsers import at_rest, buttons, look_at, sign_in, text_of
from support.clinic import Clinic
from support.pages import served
from support.restoring import put_back

DEV = "sandbox-dev"
pytestmark = pytest.mark.timeout(600)


def nothing(clinic: Clinic) -> None:
    assert not record.every(environments.load(DEV, clinic.folder))


def waiting(clinic: Clinic) -> None:
    clinic.proposed()


def stopped(clinic: Clinic) -> None:
    """A check has failed, and a decision is missing; its record is closed."""
    clinic.edit(DEV, 'past_scheduled = "keep"\n', "")
    with clinic.simulator.edit() as tables:
        tables["API_Notes"].records[:] = tables["API_Notes"].records[::2]
    runner.run([DEV])


def failed(clinic: Clinic) -> None:
    run = record.create(environments.load(DEV, clinic.folder))
    with suppress(SourceError), run.stage("snapshot"):
        raise SourceError("FileMaker closed the connection", where="table=API_Notes", next="wait")
    run.seal()


def complete(clinic: Clinic) -> None:
    clinic.executed()


def in_doubt(clinic: Clinic, rehearsed: Path) -> None:
    """Committed, by a run that was killed before it could write that down."""
    book = clinic.approved(rehearsed)
    book.apply()
    journal = book.run.folder / JOURNAL
    lines = journal.read_text().splitlines(keepends=True)
    sent = next(n for n, line in enumerate(lines) if '"committing"' in line)
    journal.write_text("".join(lines[: sent + 1]))
    assert book.run.verdict() is Verdict.IN_DOUBT


def cut_journal(clinic: Clinic) -> None:
    """Complete and sealed; somebody has taken the end of its journal away."""
    journal = clinic.executed().run.folder / JOURNAL
    lines = journal.read_text().splitlines(keepends=True)
    sent = next(n for n, line in enumerate(lines) if '"committing"' in line)
    journal.chmod(0o600)
    journal.write_text("".join(lines[: sent + 1]))


def unverified(clinic: Clinic, rehearsed: Path) -> None:
    clinic.approved(rehearsed).apply()


def killed(clinic: Clinic, rehearsed: Path) -> None:
    """Committed; its verification was killed."""
    book = clinic.approved(rehearsed)
    book.apply()
    book.run.journal(Event.STARTED, stage="checks_after")


def killed_before_it(clinic: Clinic, rehearsed: Path) -> None:
    """Its execution was killed before it had written anything."""
    clinic.approved(rehearsed).run.journal(Event.STARTED, stage="drift")


def not_closed(clinic: Clinic, rehearsed: Path) -> None:
    """Complete; a kill has kept its record from being sealed."""
    book = clinic.approved(rehearsed)
    book.apply()
    book.verify()
    book.sign_off()


def emptied_journal(clinic: Clinic, rehearsed: Path) -> None:
    book = clinic.approved(rehearsed)
    book.apply()
    (book.run.folder / JOURNAL).write_bytes(b"")


def no_journal(clinic: Clinic) -> None:
    (clinic.executed().run.folder / JOURNAL).unlink()


def rolled_back(clinic: Clinic) -> None:
    back = clinic.way_back()
    back.undo()
    back.verify()
    back.sign_off()
    back.book.seal()


def no_filemaker(clinic: Clinic) -> None:
    clinic.executed()
    clinic.simulator.stop()


def no_database(clinic: Clinic) -> None:
    clinic.executed()
    secrets = clinic.folder / f".env.{DEV}"
    server = f"NEXUS_SANDBOX_PG_PORT={clinic.server.port}"
    secrets.write_text(secrets.read_text().replace(server, "NEXUS_SANDBOX_PG_PORT=9"))


def emptied_table(clinic: Clinic) -> None:
    clinic.executed()
    with clinic.simulator.edit() as tables:
        tables["API_Notes"].records.clear()


def not_mounted(clinic: Clinic) -> None:
    clinic.executed()
    shutil.rmtree(clinic.folder.parent / "runs" / DEV)


def restored(clinic: Clinic) -> None:
    """A backup from before the last run was restored, and nobody has said so."""
    clinic.executed()
    put_back(clinic)


# State -> what the page says of it
STATES: dict[Callable[..., None], tuple[str, ...]] = {
    nothing: ("There was no run yet.",),
    waiting: (
        "GO, once somebody approves it below; nothing was written",
        "besides the rows' own time stamps: 328 values of notes (created_at)",
    ),
    stopped: ("NO-GO: it was stopped", "then start another dry run."),
    failed: ("FAILED: nothing was written",),
    complete: (
        "There before it 86 patients,",
        "Field by field: how many rows have a value",
        "besides the rows' own time stamps: 328 values of notes (created_at)",
        "files that were in S3 before are there, unchanged",
        "can be taken back",
    ),
    in_doubt: (
        "its journal does not say whether it was committed",
        "A the database can be reached nexus-reimport settle sandbox-dev not committed:",
        "The database holds it: it was committed",
        "Last sync from FileMaker: 2",
    ),
    cut_journal: (
        "Next: A person must decide: read what stands below.",
        "its journal was changed since: it no longer says what became of the run",
        "nexus-reimport record check sandbox-dev",
        "Last sync from FileMaker: 2",
    ),
    unverified: (
        "COMMITTED, NOT VERIFIED: the checks after COMMIT come next",
        "B no check has failed: the verification was broken off",
        "or, on this page, under Way back",
    ),
    killed: (
        "COMMITTED, NOT VERIFIED: its verification was broken off; a person must decide",
        "during “checks after”",
        "the database is reimported, and not verified yet",
    ),
    killed_before_it: (
        "KILLED: it was interrupted; nothing was written",
        "the database is as it was",
        "Its record is not sealed yet",
    ),
    not_closed: ("Next: Close its record: the button stands below.", "Its record is not sealed"),
    emptied_journal: (
        "IN DOUBT: its journal does not say whether it was committed",
        "its beginning is missing: bring the journal back from a backup",
    ),
    no_journal: (
        "of 1 run that the database knows, no record is here",
        "has no journal: what became of it is not known here",
    ),
    rolled_back: ("was undone, and verified", "nothing is left to take back"),
    no_filemaker: ("FileMaker could not be reached",),
    no_database: ("nothing listens at this host and port",),
    emptied_table: ("COMPLETE: reimported and verified", "▲ 1 without any record"),
    not_mounted: (
        "Bring back what was in",
        "of 1 run that the database knows, no record is here",
        "nothing can be taken back before the records are here again",
    ),
    restored: (
        "which was committed: it is older",
        "nexus-reimport record restored sandbox-dev --why TEXT",
        "What stands here is what it held after that run, and does not hold now.",
        "no run was committed in this database yet",
    ),
}
SPELLED = """
    const cells = [...document.querySelectorAll('td, th, dd, p, li span')];
    return cells.filter(one => one.clientWidth > 0 && one.innerText.trim().length > 3)
        .filter(one => one.scrollHeight > 5 * one.clientWidth).map(one => one.innerText);
"""
# A word that fits on a line and still begins on one and ends on the next; a name of several words
# may go on after its underscore, hyphen or slash, as people write it.
CUT_WORDS = """
    const range = document.createRange(), cut = [];
    const all = document.createTreeWalker(document.getElementById('main'), NodeFilter.SHOW_TEXT);
    while (all.nextNode()) {
        for (const part of all.currentNode.data.matchAll(/[^\\s_/-]+/g)) {
            range.setStart(all.currentNode, part.index);
            range.setEnd(all.currentNode, part.index + part[0].length);
            const lines = new Set([...range.getClientRects()].map(one => Math.round(one.top)));
            if (lines.size > 1) cut.push(part[0]);
        }
    }
    return cut;
"""
OPEN = "document.querySelectorAll('details').forEach(one => one.open = true)"
MAY_LOOK_BACK = {
    complete,
    cut_journal,
    unverified,
    killed,
    not_closed,
    no_filemaker,
    emptied_table,
}


@pytest.mark.parametrize("state", STATES, ids=lambda one: one.__name__)
def test_axe_finds_nothing_in_any_state(
    state: Callable[..., None],
    clinic: Clinic,
    request: pytest.FixtureRequest,
    chromium: webdriver.Chrome,
    tmp_path: Path,
    shots: Path | None,
) -> None:
    more = (request.getfixturevalue("rehearsed"),) * (state.__code__.co_argcount - 1)
    state(clinic, *more)
    with served(DEV, clinic.folder, tmp_path / "jupyter") as page:
        chromium.set_window_size(1280, 900)
        sign_in(chromium, page)
        at_rest(chromium, page)
        text = text_of(chromium, "main")
        assert [words for words in STATES[state] if words not in text] == []
        assert text.count("everything_is_decided") == (1 if state is stopped else 0)
        assert buttons(chromium)["Look first"] == (state in MAY_LOOK_BACK)
        chromium.execute_script(OPEN)
        if state is complete:
            (run,) = record.every(environments.load(DEV, clinic.folder))
            changes = run.load(Plan).entities["patients"].changes
            phones = next(one for one in changes if one.column == "contact_json.phones")
            told = f"contact json.phones {phones.filled_before} {phones.filled_after}"
            assert told in text_of(chromium, "main"), "how complete the phone numbers are"
        for scheme, width in (("light", 1280), ("dark", 390)):
            prefers(chromium, scheme)
            look_at(chromium, shots, f"{state.__name__} {scheme} {width}", width)
            assert found_by_axe(chromium) == []
            assert chromium.execute_script(SPELLED) == [], "no word is cut into its letters"
            window(chromium, width)
            assert chromium.execute_script(CUT_WORDS) == [], "no word goes on in the next line"
            chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        chromium.set_window_size(1280, 900)
