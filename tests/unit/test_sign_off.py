"""The sign-off before production: what proves a line, who signs it, and how long that stands."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nexus_reimport import record, runner, settings, show
from nexus_reimport.errors import SettingsError
from nexus_reimport.events import Event
from nexus_reimport.model import Ground, Level, LineState, Rehearsal, Report, Result, SignOff
from nexus_reimport.page import signing
from nexus_reimport.record import journal, signatures
from nexus_reimport.record.sealed import check, register
from nexus_reimport.runbook import whereabouts
from nexus_reimport.settings import Settings
from nexus_reimport.stages import sign_off
from nexus_reimport.stages.approval import Preparer
from nexus_reimport.stages.sign_off import Evidence

WHO, WORDS = "A. Person", "Saturday 22:00, agreed with reception"
AGAIN = "nexus-reimport relink sandbox-prod"
NOW = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)


@pytest.fixture
def prod(environment_files: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A production environment that is no sandbox."""
    monkeypatch.setenv(settings.FOLDER_VARIABLE, str(environment_files))
    path = environment_files / "sandbox-prod.toml"
    text = path.read_text().replace("sandbox = true", "sandbox = false")
    path.write_text(text.replace('"../../', '"'))
    return settings.load("sandbox-prod")


def place(prod: Settings) -> Path:
    return prod.records_folder


def result(name: str, *serves: str, offending: int = 0, level: Level = Level.STOP) -> Result:
    return Result(name, "A claim.", serves, level, 100, offending)


def rehearsed(ground: Ground = Ground.COPY) -> Rehearsal:
    empty = Report("inside", ())
    return Rehearsal(ground, {}, 1.0, 10.0, empty, why_inside="no right to make a copy", rows=99)


def evidence(*results: Result, rehearsal: Rehearsal | None = None) -> Evidence:
    good = (result("a", "S1"), result("b", "S4", "P1"), result("c", "S6", "S4"))
    return Evidence((Report("before", (*good, *results)),), rehearsal or rehearsed(), NOW)


def states(sheet: SignOff) -> dict[str, str]:
    return {line.id: str(line.state) for line in sheet.lines}


def test_a_run_proves_four_lines_and_people_sign_three(prod: Settings) -> None:
    sheet = sign_off.sheet(prod, evidence(), {})
    open_ = dict.fromkeys(("S2", "S5", "S7"), "open")
    assert states(sheet) == dict.fromkeys(("S1", "S3", "S4", "S6"), "proven") | open_
    assert {line.id: line.by for line in sheet.lines if line.by} == {
        "S1": "a",
        "S3": "rehearsal",
        "S4": "b, c",
        "S6": "c",
    }
    for line in ("S2", "S5", "S7"):
        signatures.sign(prod, line, WHO, WORDS)
    assert sign_off.sheet(prod, evidence(), signatures.standing(prod)).open == ()


def test_without_a_run_nothing_is_proven(prod: Settings) -> None:
    assert set(states(sign_off.sheet(prod, None, {})).values()) == {"open"}


def test_what_a_run_has_not_come_to_proves_nothing(prod: Settings) -> None:
    sheet = sign_off.sheet(prod, Evidence((), None, NOW), {})
    assert set(states(sheet).values()) == {"open"}
    assert {line.text for line in sheet.lines if line.id in ("S1", "S4", "S6")} == {
        "no check has looked yet"
    }
    assert sheet.lines[2].text == "this run has not rehearsed yet"


def test_a_failed_check_that_stops_cannot_be_signed_away(prod: Settings) -> None:
    signature = {"S1": signatures.sign(prod, "S1", WHO, WORDS)}
    failed = evidence(result("counts", "S1", offending=3))
    (line, *_) = sign_off.sheet(prod, failed, signature).lines
    assert (line.state, line.text) == (LineState.OPEN, "counts: 3 of 100")
    look = result("look", "S1", offending=1, level=Level.REVIEW)
    both = replace(failed, reports=(*failed.reports, Report("rehearsal", (look,))))
    sheet = sign_off.sheet(prod, both, signature)
    text = "counts: 3 of 100; look: 1 of 100"
    assert (sheet.lines[0].state, sheet.lines[0].text) == (LineState.OPEN, text)
    refusal = next(iter(sign_off.gates(prod, sheet, AGAIN))).refusal
    assert refusal is not None
    assert refusal.what == f"sign-off, S1 ({sheet.lines[0].claim}): {text}"
    assert "run 01_preflight again" in refusal.next


def test_a_failed_check_for_review_asks_for_a_person_and_says_so_ever_after(
    prod: Settings,
) -> None:
    doubtful = evidence(result("counts", "S1", offending=3, level=Level.REVIEW))
    (line, *_) = sign_off.sheet(prod, doubtful, {}).lines
    assert (line.state, line.text) == (LineState.OPEN, "counts: 3 of 100")
    signature = {"S1": signatures.sign(prod, "S1", WHO, "these three are test patients")}
    (line, *_) = sign_off.sheet(prod, doubtful, signature).lines
    assert line.state is LineState.SIGNED
    assert line.text == "these three are test patients (although counts: 3 of 100)"


def test_what_a_waiver_accepts_closes_its_line_and_proves_nothing(prod: Settings) -> None:
    """S6 was called proven of a run whose backup nobody could restore."""
    waived = replace(
        result("backup", "S6", offending=1), waived=1, waiver="1 by B. Person", note="no right"
    )
    by_name = {s.id: s for s in sign_off.sheet(prod, evidence(waived), {}).lines}
    line, claim = by_name["S6"], waived.not_so
    assert (line.state, line.by) == (LineState.WAIVED, "backup")
    assert line.text == f"{claim}; no right; 1 by B. Person; 1 check passed"
    assert line not in sign_off.sheet(prod, evidence(waived), {}).open
    signature = {"S6": signatures.sign(prod, "S6", WHO, "the dump was restored by hand")}
    by_name = {s.id: s for s in sign_off.sheet(prod, evidence(waived), signature).lines}
    assert by_name["S6"].state is LineState.SIGNED
    assert by_name["S6"].text.startswith(f"the dump was restored by hand (although {claim}")


def test_a_rehearsal_inside_the_transaction_is_no_dry_run(prod: Settings) -> None:
    sheet = sign_off.sheet(prod, evidence(rehearsal=rehearsed(Ground.INSIDE)), {})
    line = next(line for line in sheet.lines if line.id == "S3")
    assert line.state is LineState.OPEN
    assert line.text.endswith("rolled back: no right to make a copy")


def test_every_open_line_refuses_and_gives_the_command_that_signs_it(prod: Settings) -> None:
    gates = list(sign_off.gates(prod, sign_off.sheet(prod, evidence(), {}), AGAIN))
    refused = [gate.refusal for gate in gates if gate.refusal]
    assert [gate.claim[:2] for gate in gates] == ["S1", "S2", "S3", "S4", "S5", "S6", "S7"]
    assert [r.what for r in refused] == [
        "sign-off, S2 (The page tested on development) is not signed",
        "sign-off, S5 (Maintenance window scheduled) is not signed",
        "sign-off, S7 (Users notified) is not signed",
    ]
    assert refused[1].next == 'nexus-reimport sign sandbox-prod S5 --who "…" --text "…"'


def test_neither_dev_nor_the_made_up_clinic_needs_the_sheet(environment_files: Path) -> None:
    dev, prod = (settings.load(f"sandbox-{kind}", environment_files) for kind in ("dev", "prod"))
    for chosen in (dev, dev.model_copy(update={"sandbox": False}), prod):
        sheet = sign_off.sheet(chosen, None, {})
        assert not sheet.asked
        assert set(states(sheet).values()) == {"not asked"}
        assert list(sign_off.gates(chosen, sheet, AGAIN)) == []


# ---------------------------------------------------------------- the register


def test_a_signature_holds_name_words_account_and_time(prod: Settings) -> None:
    before = datetime.now(UTC)
    signatures.sign(prod, "S5", f"  {WHO} ", WORDS)
    signed = signatures.standing(prod)["S5"]
    assert (signed.line, signed.who, signed.text, signed.number) == ("S5", WHO, WORDS, 1)
    assert signed.account
    assert before <= signed.at <= datetime.now(UTC)


def test_the_last_signature_of_a_line_counts_and_one_can_be_withdrawn(prod: Settings) -> None:
    signatures.sign(prod, "S5", WHO, WORDS)
    signatures.sign(prod, "S5", "B. Person", "moved to Sunday")
    assert signatures.standing(prod)["S5"].who == "B. Person"
    signatures.withdraw(prod, "S5", "B. Person", "moved again")
    assert signatures.standing(prod) == {}
    assert len(register.entries(place(prod), Event.SIGNED, Event.WITHDRAWN)) == 3
    with pytest.raises(SettingsError, match="S5 is not signed, so there is nothing to withdraw"):
        signatures.withdraw(prod, "S5", "B. Person", "again")


def test_a_signature_is_spent_by_the_committed_run_that_relied_on_it(prod: Settings) -> None:
    first = signatures.sign(prod, "S5", WHO, WORDS)
    run = record.create(prod)
    run.save(sign_off.sheet(prod, evidence(), {"S5": first}))
    assert signatures.standing(prod)["S5"] == first, "an execution that came to nothing spends none"
    run.journal(Event.STARTED, stage="apply")
    run.journal(Event.COMMITTING)
    run.journal(Event.COMMITTED)
    assert signatures.standing(prod) == {}
    signatures.sign(prod, "S5", WHO, "the next night")
    assert signatures.standing(prod)["S5"].number == 2


@pytest.mark.parametrize("file", [journal.JOURNAL, "sign_off_sheet.json"])
def test_a_signature_stays_spent_where_the_record_of_that_run_was_changed(
    prod: Settings, file: str
) -> None:
    """Who cut the journal of the last run had its signatures again, for the next one."""
    first = signatures.sign(prod, "S5", WHO, WORDS)
    run = record.create(prod)
    run.save(sign_off.sheet(prod, evidence(), {"S5": first}))
    for event in (Event.COMMITTING, Event.COMMITTED, Event.VERIFIED):
        run.journal(event)
    run.seal()
    path = run.folder / file
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert signatures.standing(prod) == {}


def test_after_a_run_the_open_lines_are_said_to_be_those_of_the_next(prod: Settings) -> None:
    assert "next run" not in str(show.whereabouts(whereabouts.of(prod)))
    first = signatures.sign(prod, "S5", WHO, WORDS)
    run = record.create(prod)
    run.save(sign_off.sheet(prod, evidence(), {"S5": first}))
    assert not signatures.spent_by(prod), "an execution that came to nothing spends none"
    run.journal(Event.STARTED, stage="apply")
    run.journal(Event.COMMITTING)
    run.journal(Event.COMMITTED)
    said = f"These lines are for the next run; those of run {run.id} are in its record."
    sheet = runner.sheet(prod.name)
    assert said in show.sheet_text(sheet, prod.name, runner.spent_by(prod.name))
    assert said in show.whereabouts(whereabouts.of(prod))


@pytest.mark.parametrize(
    ("who", "text", "why"),
    [
        ("", WORDS, "the name of the signature is missing"),
        (WHO, " \n", "the text of the signature is missing"),
        ("A" * 101, WORDS, "the name of the signature has 101 characters; 100 are the most"),
        (WHO, "x" * 1001, "the text of the signature has 1,001 characters"),
        (WHO, "page \x1b[2J", "has characters that cannot be shown"),
        (WHO, "https://me:secret@host/", "looks like a login or a token"),
    ],
)
def test_a_signature_that_says_nothing_or_too_much_is_refused(
    prod: Settings, who: str, text: str, why: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        signatures.sign(prod, "S5", who, text)
    assert why in str(refused.value)
    assert "secret" not in str(refused.value)
    assert signatures.standing(prod) == {}


def test_a_forged_line_counts_for_nothing_and_the_check_of_records_tells_it(
    prod: Settings,
) -> None:
    for line in ("S2", "S5", "S7"):
        signatures.sign(prod, line, WHO, WORDS)
    path = place(prod) / register.FOLDER / journal.JOURNAL
    text = path.read_text()
    path.write_text(text.replace('"S5"', '"S1"'))
    assert signatures.standing(prod) == {}, "nor does any other line, until somebody signs again"
    *_, whole = check.of_folder(prod.records_folder)
    assert any("line 3 does not follow on the one before" in p for p in whole.problems)
    path.write_text(text)
    *_, whole = check.of_folder(prod.records_folder)
    assert whole.problems == ()


# ---------------------------------------------------------------- the command


def test_a_line_that_does_not_exist_is_refused_with_all_that_do(prod: Settings) -> None:
    with pytest.raises(SettingsError, match=r"(?s)no line 'S8'.*S1: All FileMaker data.*S7: Users"):
        runner.sign(prod.name, "S8", WHO, WORDS)
    assert runner.sign(prod.name, "s5", WHO, WORDS).lines[4].state is LineState.SIGNED


def test_the_sheet_shows_each_line_and_how_to_sign_the_open_ones(prod: Settings) -> None:
    runner.sign(prod.name, "S5", WHO, WORDS)
    shown = repr(show.sign_off(sign_off.sheet(prod, evidence(), signatures.standing(prod)), "prod"))
    assert "2 lines open: production is not executed until each is proven, accepted" in shown
    assert "S5 Maintenance window scheduled" in shown
    assert WORDS in shown
    assert 'nexus-reimport sign prod S2 --who "…" --text "…"' in shown
    assert "sign prod S5" not in shown
    assert "dry run" not in shown


def test_what_a_dry_run_would_prove_and_what_no_word_can_replace_is_not_asked_of_a_person(
    prod: Settings,
) -> None:
    """Before any dry run seven commands were printed, four of them for what it proves."""
    failed = evidence(result("counts", "S1", offending=3))
    for found in (None, failed):
        sheet = sign_off.sheet(prod, found, {})
        for shown in (repr(show.sign_off(sheet, "prod")), show.sheet_text(sheet, "prod")):
            assert re.findall(r"reimport sign prod (S\d)", shown) == ["S2", "S5", "S7"]
            assert "A dry run tries to prove the other open lines" in shown
            assert "nexus-reimport run prod" in shown
    (refused, *_) = sign_off.gates(prod, sign_off.sheet(prod, failed, {}), AGAIN)
    assert refused.refusal is not None
    assert f"run 01_preflight again ({AGAIN})" in refused.refusal.next
    assert refused.refusal.needs_preflight


# ---------------------------------------------------------------- the page


def test_the_page_offers_what_only_a_person_knows_and_what_a_run_could_not_prove(
    prod: Settings,
) -> None:
    def offered(sheet: SignOff) -> list[str]:
        return [line.id for line in signing.by_a_person(sheet)]

    assert offered(sign_off.sheet(prod, None, {})) == ["S2", "S5", "S7"]
    doubtful = evidence(result("counts", "S1", offending=3, level=Level.REVIEW))
    assert offered(sign_off.sheet(prod, doubtful, {})) == ["S1", "S2", "S5", "S7"]
    failed = evidence(result("counts", "S1", offending=3))
    assert offered(sign_off.sheet(prod, failed, {})) == ["S2", "S5", "S7"]


def test_the_form_of_the_page_says_all_that_is_wrong_with_it_at_once(prod: Settings) -> None:
    empty = signing.sign(prod, signing.Signing())
    assert empty.keys() == {"sign-line", "sign-who", "sign-text"}
    assert signing.sign(prod, signing.Signing("S5", WHO, "x" * 1001)).keys() == {"sign-text"}
    assert signatures.standing(prod) == {}
    assert signing.sign(prod, signing.Signing("S5", WHO, WORDS)) == {}
    assert signatures.standing(prod)["S5"].who == WHO


# ---------------------------------------------------------------- the second person


@pytest.mark.parametrize(
    ("begun", "approves", "why"),
    [
        (("A. Person", "clinic"), ("B. Person", "clinic"), ""),
        (("A. Person", "clinic"), ("a.  person", "other"), "A. Person began this run"),
        (("A. Person", "clinic"), (" ", "other"), "no name was given"),
        (("", "clinic"), ("B. Person", "other"), ""),
        (("", "clinic"), ("B. Person", "clinic"), "begun without a name, from the same account"),
    ],
)
def test_a_second_person_is_known_by_name_or_else_by_account(
    begun: tuple[str, str], approves: tuple[str, str], why: str
) -> None:
    found = Preparer(*begun).refuses(*approves)
    assert why in found
    assert bool(why) is bool(found)
