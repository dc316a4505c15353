"""What is done on the page: started, cancelled, signed; and what an older page may not do."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from nexus_reimport import record, runner
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.page import commands
from nexus_reimport.page.commands import Command
from nexus_reimport.record import Verdict, signatures
from nexus_reimport.settings import FOLDER_VARIABLE
from support.clinic import Clinic
from support.pages import ServedPage, left_behind, said, served, settings_of, started, words
from support.running import until


def test_a_run_that_somebody_has_started_elsewhere_is_shown_and_nothing_else_can_be_started(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    before = started(shown)
    with record.at_work(settings_of(shown)):
        text = said(page, session)
        assert "is at work" in text
        assert "Nothing else can be started while a command is at work" in text
        assert "It cannot be cancelled here" in text
        assert "is at work, started elsewhere at " in text, "nobody has started it on this page"
        for action in ("dry-run", "execute", "roll-back"):
            refused = page.post(session, action)
            assert refused.status_code == 409
            assert "It is at work already" in words(refused.text)
            assert "nothing new was started" in words(refused.text)
        assert page.post(session, "cancel").status_code == 409
    assert started(shown) == before
    assert page.post(session, "cancel").status_code == 409


@pytest.mark.parametrize("who", ["Ben", ""])
def test_a_cancel_that_came_too_late_is_told_as_such(
    page: ServedPage, session: requests.Session, shown: Clinic, who: str
) -> None:
    settings = settings_of(shown)
    run = record.create(settings)
    log = settings.private_folder / commands.FOLDER / "99990101T000000Z-dry-run.log"
    private.close_folder(log.parent)
    log.write_text(f"sandbox-dev: 01_preflight, run {run.id}\n")
    try:
        run.journal(Event.COMMITTING)
        run.journal(Event.COMMITTED)
        run.journal(Event.VERIFIED)
        assert run.verdict() is Verdict.COMPLETE
        ended = run.events()[-1].at
        commands._write(Command(log, "dry-run", "Ada", ended - timedelta(seconds=9), 0, who))
        text = said(page, session)
        by = f" by {who}" if who else ""
        assert f"Cancel was pressed on this page{by}, too late: the command had come to" in text
        assert "It was cancelled" not in text
    finally:
        log.unlink()
        log.with_suffix(".json").unlink()
        shutil.rmtree(run.bag)
        shutil.rmtree(run.private)


def test_a_refused_command_stays_on_the_page_until_somebody_says_that_they_have_read_it(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    settings = settings_of(shown)
    command = commands.start(settings, "finish", ["record", "list", "nobody"], "Ada")
    until(lambda: not command.is_at_work)
    told, why = "Verification, started by Ada", "no environment is called 'nobody'"
    try:
        for _ in range(2):  # a reload does not take it away
            text = said(page, session)
            assert told in text
            assert why in text
        assert page.post(session, "seen", log="another").status_code == 200
        assert told in said(page, session)
        page.post(session, "seen", log=command.log.stem)
        text = said(page, session)
        assert told not in text
        assert why not in text
    finally:
        command.log.unlink()
        command.log.with_suffix(".json").unlink()


def hidden(text: str, name: str) -> str:
    """The value of a hidden field, as a page that is still open has it."""
    match = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert match, f"no form has {name}"
    return match[1]


def test_a_dry_run_that_an_older_page_does_not_show_is_not_replaced_by_it(
    clinic: Clinic, tmp_path: Path
) -> None:
    """It was given up, with its approval, by whoever pressed Start dry run in a second tab."""
    with served("sandbox-dev", clinic.folder, tmp_path / "jupyter") as own:
        session = own.signed_in()
        seen = hidden(session.get(own.url, timeout=60).text, "waiting")
        run = clinic.proposed().run
        refused = own.post(session, "dry-run", waiting=seen)
        assert refused.status_code == 409
        text = words(refused.text)
        assert f"run {run.id} waits for its approval, which your page did not show" in text
        assert started(clinic) == ""
        assert run.verdict() is Verdict.WAITING
        now = session.get(own.url, timeout=60).text
        assert hidden(now, "waiting") == run.id
        assert "another one replaces the one that waits" in words(now)


def test_cancel_on_an_older_page_ends_no_other_command_than_it_showed(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    settings = settings_of(shown)
    shown.simulator.latency_ms = 30_000
    try:
        page.post(session, "dry-run")
        command = commands.at_work(settings)
        assert command is not None
        assert hidden(session.get(page.url, timeout=60).text, "command") == command.log.stem
        refused = page.post(session, "cancel", command="20260101T000000000000Z-dry-run")
        assert refused.status_code == 409
        assert "what is at work now, Dry run, is not what your page showed" in words(refused.text)
        known = commands.at_work(settings)
        assert known is not None
        assert known.cancelled_by is None
        until(lambda: page.post(session, "cancel", command=command.log.stem).status_code == 200)
        until(lambda: commands.at_work(settings) is None)
    finally:
        shown.simulator.latency_ms = 0


def test_a_line_that_was_signed_since_is_not_signed_nor_taken_back_by_an_older_page(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    """The second of two tabs took back the signature of somebody else, whom it did not show."""
    old = hidden(session.get(page.url, timeout=60).text, "seen")
    given = {"line": "S6", "text": "agreed", "do": "sign"}
    assert page.post(session, "sign", who="Ada", seen=old, **given).status_code == 200
    for action in ("sign", "withdraw"):
        refused = page.post(session, "sign", who="Ben", seen=old, **given | {"do": action})
        assert refused.status_code == 422
        assert "somebody has signed this line" in words(refused.text)
        assert signatures.standing(settings_of(shown))["S6"].who == "Ada"
    again = hidden(refused.text, "seen")
    taken_back = given | {"do": "withdraw"}
    assert page.post(session, "sign", who="Ada", seen=again, **taken_back).status_code == 200
    assert "S6" not in signatures.standing(settings_of(shown))


def test_a_line_is_signed_and_taken_back_and_the_register_keeps_both(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    given = {"line": "S5", "who": " Ada  Engineer ", "text": "Saturday 22:00,\nagreed"}
    assert page.post(session, "sign", do="sign", **given).status_code == 200
    signed = signatures.standing(settings_of(shown))["S5"]
    assert (signed.who, signed.text) == ("Ada Engineer", "Saturday 22:00, agreed")
    text = said(page, session)
    assert "S5 Maintenance window scheduled Ada Engineer: Saturday 22:00, agreed" in text
    page.post(session, "sign", do="withdraw", **given)
    assert "S5" not in signatures.standing(settings_of(shown))
    again = page.post(session, "sign", do="withdraw", **given)
    assert again.status_code == 422
    assert "S5 is not signed, so there is nothing to withdraw" in words(again.text)


def test_a_signature_that_says_too_little_is_refused_beside_the_form_which_keeps_what_was_typed(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    before = left_behind(shown)
    refused = page.post(session, "sign", line="S7", who=" ", text="told <b>everybody</b>")
    assert refused.status_code == 422
    assert "Nothing was signed: something in the form is not right." in words(refused.text)
    assert 'id="sign-who-wrong"' in refused.text
    assert 'id="sign-text-wrong"' not in refused.text
    assert "told &lt;b&gt;everybody&lt;/b&gt;</textarea>" in refused.text
    assert '<option value="S7" selected>' in refused.text
    for wrong, told in (
        ({"line": "", "who": "A", "text": "b"}, "choose the line"),
        ({"line": "S9", "who": "A", "text": "b"}, "the sign-off has no line"),
        ({"line": "S7", "who": "A", "text": "https://me:secret@host/"}, "a login or a token"),
    ):
        answer = page.post(session, "sign", **wrong)
        assert answer.status_code == 422
        assert told in words(answer.text)
    assert left_behind(shown) == before


def test_two_people_sign_at_once_and_both_lines_stand(page: ServedPage, shown: Clinic) -> None:
    people = {"S2": "A. Person", "S5": "B. Person", "S7": "C. Person"}
    sessions = {line: page.signed_in() for line in people}

    def sign(line: str) -> int:
        given = {"line": line, "who": people[line], "text": "agreed", "do": "sign"}
        return page.post(sessions[line], "sign", **given).status_code

    with ThreadPoolExecutor(len(people)) as pool:
        assert list(pool.map(sign, people)) == [200] * len(people)
    standing = signatures.standing(settings_of(shown))
    assert {line: standing[line].who for line in people} == people


@pytest.fixture
def nothing_waits(shown: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """No dry run waits for an approval: those of other tests of this session are closed."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(shown.folder))
    for run in record.open_runs(settings_of(shown)):
        runner.seal(run.environment, run.id)


@pytest.mark.usefixtures("nothing_waits")
def test_a_full_reimport_without_a_dry_run_is_refused(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    before = started(shown)
    given = {"name": "A", "reason": "B", "phrase": "DEV 1", "digest": "0" * 12}
    answer = page.post(session, "execute", **given)
    assert answer.status_code == 409
    assert "the full reimport is closed: no dry run waits" in words(answer.text)
    assert "nothing was started by this; as it stands: " in words(answer.text)
    # 422 where a test before this one has looked: the page is that of the whole session.
    assert page.post(session, "roll-back", **given).status_code in (409, 422)
    assert started(shown) == before
