"""What a run says of itself, against what the database holds: each number, and each claim."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import naming, record, runner, show, wording
from nexus_reimport import settings as environments
from nexus_reimport.errors import ReimportError, StopError
from nexus_reimport.events import Event
from nexus_reimport.files.rowfile import read_dicts
from nexus_reimport.model import Applied, Approval, Plan, Snapshot
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.page import history, outcome
from nexus_reimport.record import Run, State, Verdict, anchor
from nexus_reimport.record.journal import JOURNAL
from nexus_reimport.record.notebooks import first_screen
from nexus_reimport.runbook import rollback
from nexus_reimport.runner import RollbackOptions
from nexus_reimport.stages import apply
from support.clinic import Clinic, finished, no_copies, planned
from support.commands import command
from support.ends import DEV, TABLES, committed, failed
from support.halting import halted
from support.relinking import linked_wrongly, relinked
from support.sheets import fill, put_back, without_clinic

LINKS = {"documents": "documents_document", "images": "images_batch"}
NAMED = {naming.counted({e: n})[2:]: e for e in (*TABLES, *LINKS) for n in (1, 2)}
DONE = {
    *("wiped", "loaded", "reimported", "lost", "kept", "purged", "re-linked"),
    *("restored", "after it", "undone", "writers"),
}
PLANNED = {f"to {verb}" for verb in ("wipe", "load", "lose", "keep", "purge", "re-link", "undo")}
Rows = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Held:
    """What the database holds: rows of the wiped tables, and the owners of attachments."""

    rows: Rows
    links: dict[str, dict[str, tuple[Any, ...]]]


def held(clinic: Clinic) -> Held:
    rows = {
        entity: dict(clinic.rows(f"SELECT id::text, to_jsonb(t) FROM {table} AS t"))
        for entity, table in TABLES.items()
    }
    links = {
        name: {
            key: tuple(link)
            for key, *link in clinic.rows(
                f"SELECT id::text, object_id::text, content_type_id FROM {table}"
            )
        }
        for name, table in LINKS.items()
    }
    return Held(rows, links)


def counts(text: str) -> dict[str, int]:
    """``86 patients, 1 SMS reply, 2 links of images`` as numbers; nothing of ``nothing``."""
    found = re.findall(r"([\d,]*\d) (?:(?:links?|values?) of )?([^,;]+)", text)
    return {NAMED.get(name, name): int(n.replace(",", "")) for n, name in found}


def told(run: Run) -> dict[str, str]:
    """The facts, as they are printed; the terminal and the last cell say the same."""
    found = show.facts(run)
    terminal, cell = show.summary(run), repr(show.signed_off(run))
    for name, text in found:
        assert re.search(rf"^  {re.escape(name)} +{re.escape(text)}$", terminal, re.MULTILINE)
        assert re.search(rf"^{re.escape(name)}: +{re.escape(text)}$", cell, re.MULTILINE)
    return dict(found)


def nothing_is_claimed(clinic: Clinic, run: Run, before: Held) -> dict[str, str]:
    """A run that has written nothing says so, and the database agrees."""
    facts = told(run)
    assert held(clinic) == before
    assert not committed(clinic, run)
    assert DONE.isdisjoint(facts), facts
    assert run.verdict() is Verdict.IN_DOUBT or facts["state"] == State.AS_IT_WAS
    return facts


def every_number_is_true(clinic: Clinic, run: Run, before: Held) -> dict[str, str]:
    """A run that was committed tells what the database holds, entity by entity."""
    facts, now = told(run), held(clinic)
    assert committed(clinic, run)
    assert PLANNED.isdisjoint(facts), facts
    loaded, kept = counts(facts["reimported"]), _by_entity(facts["kept"])
    for entity in TABLES:
        was, there = before.rows[entity], now.rows[entity]
        assert loaded.get(entity, 0) + kept.get(entity, 0) == len(there), entity
        assert counts(facts["new"]).get(entity, 0) == len(there.keys() - was.keys()), entity
        assert counts(facts["purged"]).get(entity, 0) == len(was.keys() - there.keys()), entity
        assert kept.get(entity, 0) <= len(there.keys() & was.keys()), entity
    changed = [
        e
        for e in TABLES
        for k, row in now.rows[e].items()
        if k in before.rows[e] and row != before.rows[e][k]
    ]
    assert (facts["changed"] == "nothing") is not bool(changed), facts["changed"]
    # Of a note only the writing of its text can change and still say the same.
    lost = [
        column
        for key, row in now.rows["notes"].items()
        for column, was in before.rows["notes"].get(key, {}).items()
        if column not in ("content", "updated_at") and was not in (None, "", row[column])
    ]
    stamps = facts["lost"].partition("the rows' own time stamps: ")[2]
    told_lost = f"{len(lost):,} values of notes (created_at)" in stamps
    assert told_lost is bool(lost), facts["lost"]
    links_are_true(facts["re-linked"], before, now)
    return facts


def links_are_true(text: str, before: Held, now: Held) -> None:
    for name, was in before.links.items():
        moved = sum(link != was[key] for key, link in now.links[name].items())
        assert counts(text).get(name, 0) == moved, name


def _by_entity(text: str) -> dict[str, int]:
    parts = [part.partition(": ") for part in text.split("; ")]
    return {NAMED[name]: sum(counts(listed).values()) for name, colon, listed in parts if colon}


def journal_until(run: Run, last: str) -> None:
    """Cut the journal behind the last event of that name, as a kill there leaves it."""
    path = run.folder / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    place = max(n for n, line in enumerate(lines) if f'"{last}"'.encode() in line)
    path.write_bytes(b"".join(lines[: place + 1]))


def left_out_everywhere(run: Run) -> None:
    """Of all records that the ledger has as left out, each place tells, and of no others."""
    private = run.private
    lines = read_dicts(private, run.load(Plan).ledger)
    wanted = sum(line["outcome"] == "left out" for line in lines)
    summed = [int(n.replace(",", "")) for n in re.findall(r"[\d,]*\d(?= )", told(run)["left out"])]
    assert sum(summed) == wanted > 0
    of_page = outcome.of(run).left_out
    assert sum(sum(rules.values()) for rules in of_page.values()) == wanted
    listed = [path.read_text(encoding="utf-8-sig") for path in private.glob("left_out/*.csv")]
    assert sum(len(list(csv.DictReader(io.StringIO(text)))) for text in listed) == wanted


def test_what_was_left_out_is_told_of_every_source_and_is_what_the_ledger_has(
    clinic: Clinic,
) -> None:
    """Contact details, documents and images too: their rules have budgets like any other."""
    run = clinic.executed().run
    left_out_everywhere(run)
    assert "contact details of patients: " in told(run)["left out"]
    again = relinked(clinic).run
    left_out_everywhere(again)
    assert told(again)["left out"].startswith("documents: ")


# ---------------------------------------------------------------- nothing was written


def test_a_run_that_waits_says_what_is_to_be_done(clinic: Clinic) -> None:
    before = held(clinic)
    (waiting,) = runner.run([DEV])
    (run,) = record.every(environments.load(DEV))
    assert (waiting.verdict, waiting.exit_code, waiting.sealed) == (Verdict.WAITING, 6, False)
    assert waiting.error == ""
    assert f"nexus-reimport run {DEV} --approve " in waiting.advice
    page = waiting.advice.removeprefix("read ").partition(", then")[0]
    assert Path(page).is_file(), "the page that a person is to read is there"
    facts = nothing_is_claimed(clinic, run, before)
    wiped, kept = counts(facts["to wipe"]), _by_entity(facts["to keep"])
    there = {e: wiped.get(e, 0) + kept.get(e, 0) for e in before.rows}
    assert there == {e: len(r) for e, r in before.rows.items()}
    assert facts["checks"] == "inside, in the rehearsal: 5 passed"
    read = f"{run.load(Snapshot).taken_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    assert facts["FileMaker"] == f"read at {read}; what is edited there since is not in this run"
    assert runner.seal(DEV).verdict is Verdict.PARTIAL, "nobody will approve it any more"


def test_a_run_that_stopped_before_says_nothing_was_written(clinic: Clinic) -> None:
    path, before = clinic.folder / f"{DEV}.toml", held(clinic)
    path.write_text(
        path.read_text().replace('who = "sandbox"\nuntil = "2099', 'who = "x"\nuntil = "2001')
    )
    (stopped,) = runner.run([DEV], approve_rehearsed=True)
    assert (stopped.verdict, stopped.exit_code) == (Verdict.STOPPED, 1)
    (run,) = record.every(environments.load(DEV))
    facts = nothing_is_claimed(clinic, run, before)
    assert "every_planned_patient_has_a_clinic: expired" in facts["waivers"]
    assert facts["rehearsal"] == "not done, or not finished"
    assert "EXPIRED: waived up to 86 by x until 2001" in stopped.error


def test_a_run_that_stopped_inside_says_nothing_was_written(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    clinic.do(
        "UPDATE notes SET content = 'since' WHERE id = (SELECT min(id::text)::uuid FROM notes)"
    )
    before = held(clinic)
    with pytest.raises(StopError, match="Nexus was changed"):
        book.apply()
    assert book.run.verdict() is Verdict.STOPPED
    assert nothing_is_claimed(clinic, book.run, before)["checks"].startswith(
        "inside, in the rehearsal"
    )


def test_a_run_that_failed_says_nothing_was_written(
    clinic: Clinic, rehearsed: Path, tmp_path: Path
) -> None:
    before = held(clinic)
    run = failed(clinic, rehearsed, tmp_path)
    assert run.verdict() is Verdict.FAILED
    nothing_is_claimed(clinic, run, before)


SHOWS = """\
import sys
from nexus_reimport import record, settings, show
environment, run = sys.argv[1:]
print(repr(show.signed_off(record.find(settings.load(environment), run))))
"""


def test_a_page_does_not_call_its_own_run_running(clinic: Clinic) -> None:
    run = clinic.executed().run
    (run.bag / "tagmanifest-sha256.txt").unlink()  # as before the seal, in the last cell of 03
    with run.at_work():
        assert run.workers()
        assert "state" not in told(run)
        by_child = subprocess.run(
            [sys.executable, "-c", SHOWS, DEV, run.id], capture_output=True, text=True, check=True
        )
    assert "Verdict: COMPLETE" in by_child.stdout
    assert "running" not in by_child.stdout


@pytest.mark.parametrize("step", [2, 7, 10])
def test_a_live_run_is_running_and_a_killed_one_is_not(
    clinic: Clinic, rehearsed: Path, tmp_path: Path, step: int
) -> None:
    run, before = clinic.approved(rehearsed).run, held(clinic)
    with halted(DEV, run.id, step, tmp_path / "marker") as process:
        assert (run.standing(), run.workers()) == (Verdict.RUNNING, (process.pid,))
        state = f"running, pid {process.pid}; the result is not known yet"
        assert told(run)["state"] == state
        assert "exit code" not in show.summary(run)
        with pytest.raises(ReimportError, match=f"at work: pid {process.pid}"):
            runner.seal(DEV)
        with pytest.raises(ReimportError, match="at work"):
            record.create(environments.load(DEV))
        process.kill()
        process.wait()
    assert run.standing() is Verdict.IN_DOUBT
    assert nothing_is_claimed(clinic, run, before)["state"] == State.UNKNOWN
    assert runner.settle(DEV).verdict is Verdict.KILLED
    nothing_is_claimed(clinic, run, before)


def test_on_the_page_the_plan_of_a_killed_run_is_what_it_would_have_done(clinic: Clinic) -> None:
    """Its numbers stood there as those of a dry run that waits: "Wipes and reimports"."""
    run = clinic.proposed().run
    assert not outcome.of(run).will_not_be_done
    run.journal(Event.FAILED, stage="02_execute", what="interrupted", killed=True)
    assert outcome.of(run).will_not_be_done


def test_on_the_page_a_rollback_is_not_told_as_a_reimport(clinic: Clinic) -> None:
    """One that was committed and not verified was called so as if it had been the import."""
    run = record.create(environments.load(DEV), "rollback", undoes="20260101T000000Z-ab12")
    run.journal(Event.FAILED, stage="undo", what="no", kind="StopError", exit_code=1)
    assert outcome.of(run).headline == "STOPPED: nothing was taken back"
    run.journal(Event.COMMITTED)
    comes_next = "TAKEN BACK, NOT VERIFIED: the checks after COMMIT come next"
    assert outcome.of(run).headline == comes_next


def test_a_rollback_whose_check_failed_is_not_as_before(clinic: Clinic) -> None:
    """`as before: yes` stood above a check that had failed; the first screen said better."""
    clinic.executed()
    back = rollback.begin(DEV)
    back.back_up()
    back.preview()
    back.propose()
    back.approve(rehearsed=True)
    back.undo()
    clinic.do("UPDATE notes SET content = content || '.'")
    assert told(back.run)["as before"].startswith("yes")
    assert back.verify().blocking
    assert told(back.run)["as before"].startswith("not proven")


# ---------------------------------------------------------------- it was committed


def test_a_complete_run_tells_what_the_database_holds(clinic: Clinic) -> None:
    before, book = held(clinic), clinic.executed()
    facts = every_number_is_true(clinic, book.run, before)
    assert "state" not in facts
    assert book.run.verdict() is Verdict.COMPLETE
    now = held(clinic)
    told_values: Counter[str] = Counter()
    for n, entity in re.findall(r"([\d,]+) (?:values|spellings) of ([^,]+)", facts["changed"]):
        told_values[NAMED[entity]] += int(n.replace(",", ""))
    for entity in ("notes", "sms_messages", "sms_inbound", "reminders"):  # no JSON that is merged
        differ = sum(
            value != before.rows[entity][key][column]
            for key, row in now.rows[entity].items()
            if key in before.rows[entity]
            for column, value in row.items()
        )
        assert told_values[entity] == differ, entity


@pytest.mark.parametrize("lost", [False, True], ids=["counted", "killed before it could count"])
def test_an_unverified_run_says_that_it_was_committed(
    clinic: Clinic, rehearsed: Path, tmp_path: Path, lost: bool
) -> None:
    book, before = clinic.approved(rehearsed), held(clinic)
    if lost:
        with halted(DEV, book.run.id, apply.STEPS, tmp_path / "marker") as process:
            process.kill()
            process.wait()
    else:
        book.apply()
    assert book.run.verdict() is Verdict.COMMITTED_UNVERIFIED
    facts = every_number_is_true(clinic, book.run, before)
    assert facts["state"] == "committed, not verified"
    assert ("counts" in facts) is lost
    assert ("writers" in facts) is not lost


def test_a_run_in_doubt_claims_nothing_until_the_database_was_asked(
    clinic: Clinic, rehearsed: Path
) -> None:
    book, before = clinic.approved(rehearsed), held(clinic)
    book.apply()
    journal_until(book.run, "committing")
    (book.run.folder / "applied.json").unlink()
    facts = told(book.run)
    assert (book.run.verdict(), facts["state"]) == (Verdict.IN_DOUBT, State.UNKNOWN)
    assert DONE.isdisjoint(facts)
    assert runner.settle(DEV).verdict is Verdict.COMMITTED_UNVERIFIED
    every_number_is_true(clinic, book.run, before)


def test_a_run_that_was_taken_back_and_its_rollback_tell_the_truth(
    clinic: Clinic, rehearsed: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    book, before = clinic.approved(rehearsed), held(clinic)
    book.apply()
    after = held(clinic)
    back = runner.rollback(RollbackOptions(book.run.id, rehearsed=True))
    assert (back.verdict, book.run.verdict()) == (Verdict.COMPLETE, Verdict.UNDONE)
    assert held(clinic) == before
    assert told(book.run)["state"] == State.TAKEN_BACK
    own = record.every(environments.load(DEV))[-1]
    facts = told(own)
    assert facts["undone"] == book.run.id
    back_rows, _, back_links = facts["written"].partition("; ")
    differ = sum(after.rows[e].get(k) != r for e in TABLES for k, r in before.rows[e].items())
    differ += sum(len(after.rows[e].keys() - before.rows[e].keys()) for e in TABLES)
    assert back_rows == f"{differ:,} rows"
    assert counts(facts["after it"]) == {e: len(r) for e, r in before.rows.items() if r}
    links_are_true(back_links, after, held(clinic))
    assert record.taken_back(record.every(environments.load(DEV))) == {book.run.id: own.id}
    code, out, _ = command(capsys, "record", "list", DEV)
    assert (code, out.count(f"undone by {own.id}")) == (0, 1)
    _, out, _ = command(capsys, "record", "show", DEV, "--run", book.run.id)
    assert out.startswith(f"undone since, by run {own.id}")
    own.bag.rename(tmp_path / own.id)  # the database says it without that record
    code, out, _ = command(capsys, "record", "list", DEV)
    assert (code, out.count(f"undone by {own.id}")) == (0, 1)
    _, out, _ = command(capsys, "record", "show", DEV, "--run", book.run.id)
    assert out.startswith(f"undone since, by run {own.id}")
    settings = environments.load(DEV)
    with connected(settings.postgres) as connection:
        seen = anchor.apart(connection, settings)
    shown = history.of(settings, None, seen=seen).past
    assert [one.undone_by for one in shown if one.run.id == book.run.id] == [own.id]
    clinic.edit(DEV, f'database = "{clinic.databases["dev"]}"', 'database = "away"')
    code, out, err = command(capsys, "record", "list", DEV)
    assert (code, out.count("undone by")) == (0, 0)
    assert f"{DEV}: what was undone is told by the records alone: " in err


def test_a_rollback_that_was_not_done_has_put_back_nothing(clinic: Clinic) -> None:
    first = clinic.executed()
    book = rollback.begin(DEV, "", first.run.id)
    book.back_up()
    book.preview()
    book.propose()
    after = held(clinic)
    assert book.run.verdict() is Verdict.WAITING
    assert nothing_is_claimed(clinic, book.run, after)["to undo"] == first.run.id


def test_a_run_that_re_linked_alone_claims_links_alone(clinic: Clinic) -> None:
    clinic.executed()
    linked_wrongly(clinic)
    before = held(clinic)
    facts = told(relinked(clinic).run)
    now = held(clinic)
    assert now.rows == before.rows
    links_are_true(facts["re-linked"], before, now)
    assert {"wiped", "loaded", "reimported", "kept", "changed"}.isdisjoint(facts)


def test_values_of_the_sheet_are_counted_as_changes(clinic: Clinic) -> None:
    clinic.executed()
    first = planned()
    keys = without_clinic(first)
    path, sheet = put_back(first)
    name = clinic.value("SELECT min(name) FROM clinics")
    for key in keys:
        fill(sheet["clinics"], key, clinic_id=name)
    sheet.save(path)
    before = held(clinic)
    facts = every_number_is_true(clinic, clinic.whole(dry=True).run, before)
    assert facts["changed"] == f"{len(keys):,} by hand in clinics"


def test_what_is_purged_is_not_called_kept(clinic: Clinic) -> None:
    path = clinic.folder / f"{DEV}.toml"
    text = path.read_text()
    for entity in ("patients", "notes", "letters", "appointments"):
        head, rest = text.split(f"[decisions.{entity}]\n")
        ours, rest = rest.split("when_different", 1)
        text = f"{head}[decisions.{entity}]\n{ours.replace('keep', 'purge', 3)}when_different{rest}"
    waiver = 'check = "no_more_is_purged_than_expected"\nat_most = 4\nreason = "meant so"\n'
    path.write_text(f'{text}\n[[waivers]]\n{waiver}who = "x"\nuntil = "2099-01-01"\n')
    before = held(clinic)
    book = clinic.preflight(dry=True)
    book.approve(rehearsed=True)
    facts = every_number_is_true(clinic, finished(book).run, before)
    closed = book.run.load(Plan).entities["patients"].unmatched
    assert sum(u.kept for u in closed) == _by_entity(facts["kept"])["patients"] > 0
    assert "letters" not in _by_entity(facts["kept"])
    assert counts(facts["purged"])["letters"] > 0


# ---------------------------------------------------------------- what is void, unproven, refused


def test_what_a_step_that_was_run_again_has_made_void_is_said(clinic: Clinic) -> None:
    book = clinic.proposed()
    assert book.run.verdict() is Verdict.WAITING
    book.plan()
    facts = told(book.run)
    assert book.run.verdict() is Verdict.PARTIAL
    assert facts["void"] == (
        "checks before, rehearsal, checks rehearsal, checks inside, proposal: “plan” was run"
        " again afterwards"
    )
    assert "proposal" not in facts
    book.check_before()
    with no_copies(clinic.server):
        book.rehearse()
    book.propose()
    assert "void" not in told(book.run)
    assert book.run.verdict() is Verdict.WAITING


def test_an_unproven_rehearsal_is_said_at_the_terminal(no_createdb: Clinic) -> None:
    (waiting,) = runner.run([DEV])
    assert waiting.verdict is Verdict.WAITING
    assert "UNPROVEN, backup and undo were not tried: the role may not" in waiting.summary
    (run,) = record.every(environments.load(DEV))
    page = Path(run.folder, "01_preflight.html").read_text(encoding="utf-8")
    assert (
        "UNPROVEN: the backup has not been restored, the undo has not been tried: the role" in page
    )


def test_the_first_screen_of_a_run_has_the_transactions_own_counts(clinic: Clinic) -> None:
    run = clinic.executed().run
    screen = first_screen.read(run.folder)
    assert screen.headline == "COMPLETE: reimported and verified"
    assert f" on 127.0.0.1 · run {run.id} · " in screen.banner
    assert screen.banner.endswith("made-up clinic")
    done, says = run.load(Applied), {line.name: line.text for line in screen.lines}
    written = sum(done.written.values())
    assert says["wiped and reimported"].endswith(f"; {written:,} rows had to be written for it")
    assert written > sum(done.deleted.values()) + sum(done.inserted.values()), "and updated"
    assert f"{done.relinked['documents']:,} link" in says["linked anew"]
    assert says["writers waited"] == wording.at_most(done.writers_waited)
    assert says["approved by"].startswith(run.load(Approval).by)
