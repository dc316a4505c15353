"""What closes an execution besides its digest: the sign-off, the window, the second person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from nexus_reimport import program, runbook, runner, show
from nexus_reimport.errors import SettingsError, StopError
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import Approval, LineState, Proposal, SignOff, Snapshot
from nexus_reimport.record import Run, Verdict, closing, signatures
from nexus_reimport.record.search import harmless, personal
from nexus_reimport.record.search.identifiers import Identifiers
from nexus_reimport.runbook import Runbook
from nexus_reimport.runner.outcome import CommandOutcome
from nexus_reimport.settings import Settings
from support.clinic import Clinic
from support.values import change, shared

DEV = "sandbox-dev"
Reopened = Callable[[str], Runbook]


def test_words_that_name_a_patient_are_not_signed_and_a_signer_may_be_called_like_one(
    clinic: Clinic, rehearsed: Path
) -> None:
    clinic.approved(rehearsed)
    first, last, born = clinic.rows(
        "SELECT first_name, last_name, dob::text FROM patients WHERE length(first_name) > 5"
        " AND length(last_name) > 5 AND dob IS NOT NULL ORDER BY id LIMIT 1"
    )[0]
    register = clinic.folder.parent / "runs" / DEV / ".register"
    for words in (f"{first} {last} was told", f"the one born {born}"):
        for act in (runner.sign, runner.withdraw):
            if act is runner.withdraw:
                runner.sign(DEV, "S5", "A. Person", "agreed")
            with pytest.raises(SettingsError, match="identifies a patient") as refused:
                act(DEV, "S5", "A. Person", words)
            assert last not in str(refused.value)
    assert last not in (register / "journal.jsonl").read_text()
    runner.sign(DEV, "S7", f"{first} {last}", f"told by me, {last}")


def test_an_approval_that_names_a_patient_is_refused_before_anything_is_written(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    first, last, born, phone = clinic.rows(
        "SELECT first_name, last_name, dob::text,"
        " substring(contact_json::text from '[+0][0-9 ]{9,14}[0-9]') AS phone"
        " FROM patients WHERE length(first_name) > 5 AND length(last_name) > 5"
        " AND dob IS NOT NULL AND contact_json::text ~ '[+0][0-9 ]{9,14}[0-9]'"
        " ORDER BY id LIMIT 1"
    )[0]
    digest, before = book.run.load(Proposal).digest, len(book.run.events())
    for name, reason in (
        ("A. Person", f"{first} {last} waits for it"),
        ("A. Person", f"the one born {born}"),
        (f"call {phone}", "agreed"),
    ):
        for approve in (
            lambda n, r: book.approve(digest, name=n, reason=r),
            lambda n, r: runner.run([DEV], approve=digest, name=n, reason=r),
        ):
            with pytest.raises(SettingsError, match="name or reason of the approval") as refused:
                told(approve(name, reason))
            assert last not in str(refused.value)
    assert len(book.run.events()) == before
    book.approve(digest, name=f"{first} {last}", reason=f"agreed by me, {last}")
    closing.require_clean(book.settings, book.run)  # who is called like a patient may approve


def told(given: Approval | list[CommandOutcome]) -> None:
    """The error of an approval: the runner gives it as an outcome."""
    if isinstance(given, list):
        assert given[0].exit_code == SettingsError.exit_code
        raise SettingsError(given[0].error)


def test_a_waiver_whose_reason_names_a_patient_begins_no_run(
    clinic: Clinic, reopened: Reopened
) -> None:
    last, first = clinic.rows(
        "SELECT last_name, first_name FROM patients WHERE length(first_name) > 5"
        " AND length(last_name) > 5 ORDER BY id LIMIT 1"
    )[0]
    book = reopened(
        '[[waivers]]\ncheck = "documents_carry_an_export_date"\nat_most = 1\n'
        f'reason = "{first} {last} has none"\nwho = "A. Person"\nuntil = 2099-12-31\n'
    )
    for act in (book.check_before, lambda: runbook.begin(DEV)):
        with pytest.raises(SettingsError, match="the reason of the waiver for doc") as no:
            act()
        assert last not in str(no.value)


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each time that all that identifies a patient is gathered."""
    gathered: list[str] = []
    gather = personal.of_run

    def of_run(settings: Settings, mapping: FieldMapping | None, run: Run) -> Identifiers:
        gathered.append(run.id)
        return gather(settings, mapping, run)

    monkeypatch.setattr(personal, "of_run", of_run)
    return gathered


def test_words_that_name_nobody_are_searched_for_once(
    clinic: Clinic, rehearsed: Path, searched: list[str]
) -> None:
    book = clinic.approved(rehearsed)
    (name,) = clinic.rows("SELECT last_name FROM patients WHERE length(last_name) > 5 LIMIT 1")[0]
    known, ours, theirs = (
        book.settings,
        ("A. Person", "agreed at noon"),
        ("B. Person", f"of {name}"),
    )

    def telling(*several: tuple[str, str], settings: Settings = known) -> tuple[list[bool], int]:
        searched.clear()
        return closing.naming_a_person(settings, several), len(searched)

    assert telling(ours, ("", "")) == ([False, False], 1)
    assert telling(ours) == ([False], 0)
    assert telling(ours, ("B. Person", "agreed at noon")) == ([False, False], 1), "who says it"
    for _ in range(2):
        assert telling(theirs, ours) == ([True, False], 1)
    assert telling(theirs, settings=known.model_copy(update={"labels": (name,)})) == ([False], 1)
    assert telling(theirs) == ([True], 1), "it is no label any more"
    password = SecretStr("agreed at noon")
    server = known.postgres.model_copy(update={"password": password})
    assert telling(ours, settings=known.model_copy(update={"postgres": server})) == ([True], 0)


def test_words_are_searched_for_again_beside_other_data(
    clinic: Clinic, rehearsed: Path, searched: list[str]
) -> None:
    book, words = clinic.approved(rehearsed), [("A. Person", "agreed by Wombatsson")]
    assert closing.naming_a_person(book.settings, words) == [False]
    (file,) = [
        e.file for e in book.run.load(Snapshot).extracts.values() if e.table == "API_Contacts"
    ]
    path = book.run.private / file.name
    whole = path.read_bytes()
    path.unlink()
    (book.run.private / harmless.FILE).unlink()
    for _ in range(2):  # nothing is remembered of a search without all data
        searched.clear()
        assert closing.naming_a_person(book.settings, words) == [False]
        assert len(searched) == 1
    path.write_bytes(whole)
    assert closing.naming_a_person(book.settings, words) == [False]
    (book.run.private / harmless.FILE).write_text("no list")
    assert closing.naming_a_person(book.settings, words) == [False]
    # The next run reads of somebody who is called so.
    change(clinic, shared(clinic, 1), nameLast="Wombatsson")
    again = runbook.begin(DEV)
    again.snapshot()
    assert closing.naming_a_person(again.settings, words) == [True]


@pytest.fixture
def reopened(clinic: Clinic, rehearsed: Path) -> Reopened:
    """The rehearsed run, opened again with more in its environment's file."""
    book = clinic.approved(rehearsed)
    run, path = book.run, clinic.folder / f"{DEV}.toml"
    text = path.read_text()

    def with_more(more: str = "") -> Runbook:
        path.write_text(f"{text}\n{more}\n")
        return runbook.resume(DEV, run.id)

    return with_more


def refused(book: Runbook, name: str = "") -> str:
    """What an approval with the right digest is refused for."""
    with pytest.raises(StopError) as stopped:
        book.approve(book.run.load(Proposal).digest, name=name)
    return str(stopped.value)


def test_production_is_not_approved_before_all_seven_lines_are_closed(
    clinic: Clinic, rehearsed: Path
) -> None:
    book, before = clinic.approved(rehearsed), clinic.state()
    clinic.as_production()
    book = runbook.resume(DEV, book.run.id)
    sheet = {line.id: line for line in book.sheet().lines}
    assert [name for name, line in sheet.items() if line.state is LineState.PROVEN] == [
        "S1",
        "S3",
        "S4",
        "S6",
    ]
    assert "the_backup_is_whole" in sheet["S4"].by
    assert "filemaker_was_read_completely" in sheet["S1"].by
    text = refused(book)
    for line in ("S2", "S5", "S7"):
        assert f"sign-off, {line} (" in text
        assert f"nexus-reimport sign {DEV} {line} --who" in text
    for line in ("S2", "S5", "S7"):
        runner.sign(DEV, line, "A. Person", "agreed")
    assert "sign-off" not in refused(book)
    assert {gate.claim[:2] for gate in book.gates() if not gate.refusal} >= {
        f"S{n}" for n in range(1, 8)
    }
    book.run.save(Approval(book.run.load(Proposal).digest, "me", "digest given", datetime.now(UTC)))
    runner.withdraw(DEV, "S5", "A. Person", "moved to Sunday")
    with pytest.raises(StopError, match=r"sign-off, S5 \(.*\) is not signed"):
        book.apply()  # it was approved before that
    assert clinic.state() == before


def test_what_was_signed_stands_in_the_record_of_the_run_and_is_then_spent(
    clinic: Clinic, reopened: Reopened
) -> None:
    book = reopened()
    runner.sign(DEV, "S5", "A. Person", "Saturday 22:00")
    book.approve(rehearsed=True)
    kept = {line.id: line for line in book.run.load(SignOff).lines}
    assert (kept["S5"].state, kept["S5"].by, kept["S5"].text) == (
        LineState.SIGNED,
        "A. Person",
        "Saturday 22:00",
    )
    assert set(signatures.standing(book.settings)) == {"S5"}
    book.apply()
    assert signatures.standing(book.settings) == {}
    assert book.run.load(SignOff).lines[4].signed


def hours(opens: timedelta, closes: timedelta) -> str:
    now = datetime.now(UTC)
    return f"[window]\nfrom = {(now + opens).isoformat()}\nto = {(now + closes).isoformat()}"


@pytest.mark.parametrize(("opens", "closes"), [(1, 2), (-2, -1)])
def test_outside_of_its_window_nothing_is_approved_and_nothing_applied(
    clinic: Clinic, reopened: Reopened, opens: int, closes: int
) -> None:
    before = clinic.state()
    reopened().approve(rehearsed=True)
    book = reopened(hours(timedelta(hours=opens), timedelta(hours=closes)))
    text = refused(book)
    assert "outside of the window: " in text
    assert f"correct [window] in {DEV}.toml" in text
    book.run.save(Approval(book.run.load(Proposal).digest, "me", "digest given", datetime.now(UTC)))
    with pytest.raises(StopError, match="outside of the window"):
        book.apply()  # it was approved inside of it, and hours ago
    assert clinic.state() == before


def test_inside_of_its_window_it_is_executed(clinic: Clinic, reopened: Reopened) -> None:
    book = reopened(hours(timedelta(hours=-1), timedelta(hours=5)))
    book.approve(rehearsed=True)
    assert book.apply().committed


def test_the_one_who_began_a_run_does_not_approve_it_where_two_are_asked_for(
    clinic: Clinic, reopened: Reopened
) -> None:
    book = reopened("[approval]\nsecond_person = true")
    assert "a second person must approve, and no name was given" in refused(book)
    account = program.account()
    assert f"begun without a name, from the same account ({account})" in refused(book, "B. Person")
    shut = [gate.claim for gate in book.gates() if gate.refusal]
    assert f"somebody else approves than {account}, who began the run" in shut


def test_a_second_person_is_asked_for_before_a_page_is_executed(
    clinic: Clinic, reopened: Reopened
) -> None:
    """A refusal in 02_execute ends the run, and leaves a name in a record that is not sealed."""
    book = reopened("[approval]\nsecond_person = true")
    digest, before = book.run.load(Proposal).digest, len(book.run.events())
    (outcome,) = runner.run([DEV], approve=digest, name="B. Person", reason="agreed")
    assert "begun without a name" in outcome.error
    assert len(book.run.events()) == before


def test_an_approval_without_the_second_persons_name_costs_no_preflight(
    clinic: Clinic,
) -> None:
    """It was refused by the page, which ended the run; now before a page is executed."""
    run = clinic.proposed().run
    path = clinic.folder / f"{DEV}.toml"
    path.write_text(f"{path.read_text()}\n[approval]\nsecond_person = true\n")
    book = runbook.resume(DEV, run.id)
    digest = book.run.load(Proposal).digest[:12]
    (asked,) = runner.run([DEV], approve=digest)
    assert (asked.exit_code, asked.verdict) == (1, None)
    assert "a second person must approve, and no name was given" in asked.error
    assert book.run.verdict() is Verdict.WAITING
    text = repr(show.proposal(book.run.load(Proposal), book.outlook()))
    assert f'--approve {digest} --who "…"' in text


def test_the_self_test_voids_nothing_of_what_the_rehearsal_has_proven(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    before = book.run.kept()
    book.self_test()
    (ended,) = [e for e in book.run.events() if e.stage == "self_test" and e.text("note")]
    assert ended.text("note").startswith("not tested: self_test = false")
    gone = before - book.run.kept()
    assert gone == {"proposal", "outlook", "sign_off_sheet", "approval"} & before
    assert {line.id: line.state for line in book.sheet().lines}["S6"] is LineState.PROVEN
