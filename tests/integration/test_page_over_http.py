"""The page as it answers over HTTP: who is let in, with which headers, and what it says."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
import socket
import subprocess
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import requests
from psycopg import sql
from tornado.web import create_signed_value

from nexus_reimport import record, runner
from nexus_reimport import settings as environments
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.model import Plan, Snapshot
from nexus_reimport.page import commands, outcome
from nexus_reimport.page.commands import Command
from nexus_reimport.record import Verdict, signatures
from nexus_reimport.record.journal import JOURNAL
from nexus_reimport.record.sealed import register
from nexus_reimport.runbook import connections
from nexus_reimport.runner.lab import prepare
from nexus_reimport.settings import FOLDER_VARIABLE, Settings
from nexus_sandbox import process
from support.clinic import ROLE, Clinic
from support.pages import PATH, TOKEN, Page, served, words
from support.running import until

ACTIONS = ("dry-run", "execute", "roll-back", "cancel", "finish", "look", "sign", "log-out")


def settings_of(shown: Clinic) -> Settings:
    return environments.load("sandbox-dev", shown.folder)


def started(shown: Clinic) -> str:
    """The command that the page has started last."""
    last = commands.latest(settings_of(shown))
    return last.log.name if last else ""


def left_behind(shown: Clinic) -> tuple[int, str, int]:
    """What an action would leave behind: a run, a command, a line of the register."""
    settings = settings_of(shown)
    place = settings.records_folder
    return len(record.every(settings)), started(shown), register.size(place)


def said(page: Page, session: requests.Session) -> str:
    answer = session.get(page.url, timeout=30)
    assert answer.status_code == 200
    return words(answer.text)


def settled(page: Page, session: requests.Session, action: str, part: str) -> str:
    """What the page says once a reading that was asked for has ended."""
    page.post(session, action)
    for _ in range(600):
        if "being asked" not in (text := said(page, session)) and "being read" not in text:
            assert part in text, text
            return text
        time.sleep(0.2)
    raise AssertionError("the reading did not end")


@pytest.mark.parametrize(
    ("path", "status"),
    [("", 200), ("/nothing", 404), ("/runs/nothing", 404), ("/dry-run", 405), ("/events", 405)],
)
def test_head_is_answered_as_get_without_the_body(
    page: Page, session: requests.Session, path: str, status: int
) -> None:
    answer = session.head(page.url + path, timeout=30)
    assert (answer.status_code, answer.content) == (status, b"")
    assert requests.head(page.url, timeout=30, allow_redirects=True).status_code == 200, "a login"
    assert "allow_unauthenticated" not in page.log.read_text(), "jupyter_server warns of nothing"


@pytest.mark.parametrize("path", [PATH, f"{PATH}/"])
def test_the_page_is_at_its_address_with_and_without_the_last_slash(
    page: Page, session: requests.Session, path: str
) -> None:
    answer = session.get(page.origin + path, timeout=30, allow_redirects=False)
    assert answer.status_code == 200
    assert "<title>DEV · Data management" in answer.text


def test_without_a_login_every_address_leads_to_it_and_tells_nothing(page: Page) -> None:
    for path in ("", "/", "/runs/20260101T000000Z-0000"):
        answer = requests.get(page.url + path, timeout=60, allow_redirects=False)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/login")
    for action in ("read-again", "test-again"):
        answer = requests.post(f"{page.url}/{action}", timeout=60, allow_redirects=False)
        assert answer.status_code == 403


def test_a_wrong_token_is_refused_and_the_page_says_so(page: Page) -> None:
    session = requests.Session()
    session.get(f"{page.origin}/login", timeout=60)
    given = {"_xsrf": session.cookies["_xsrf"], "password": TOKEN + "."}
    answer = session.post(f"{page.origin}/login", given, timeout=60)
    assert answer.status_code == 401
    assert "not the token or the password" in words(answer.text)
    assert session.get(page.url, timeout=60, allow_redirects=False).status_code == 302


def test_a_login_ends_after_half_a_day(page: Page) -> None:
    """A cookie as the page itself signs it, of an earlier time."""
    session = page.signed_in()
    (name,) = [cookie.name for cookie in session.cookies if cookie.name != "_xsrf"]
    key = (page.folder / "jupyter_cookie_secret").read_bytes()
    secret = hmac.new(key, digestmod=hashlib.sha256).digest()
    parts = ("username", "name", "display_name", "initials", "color", "avatar_url")
    user = json.dumps(dict.fromkeys(parts, "anonymous"))
    status = []
    for hours in (11, 13):
        then = time.time() - 3600 * hours
        signed = create_signed_value(secret, name, user, clock=lambda then=then: then)
        cookies = {name: signed.decode()}
        answer = requests.get(page.url, cookies=cookies, timeout=30, allow_redirects=False)
        status.append(answer.status_code)
    assert status == [200, 302]


def test_a_token_in_the_address_is_taken_out_of_it(page: Page) -> None:
    answer = requests.get(page.url, {"token": TOKEN}, timeout=30)
    assert answer.url == page.url
    assert answer.status_code == 200


def test_each_answer_lets_the_browser_load_nothing_but_the_pages_own_files(
    page: Page, session: requests.Session
) -> None:
    for path in (PATH, "/login", f"{PATH}/nothing"):
        answer = session.get(page.origin + path, timeout=30, allow_redirects=False)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none';"), path
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers
        for forbidden in ("<style", " style=", "onclick", '="http', "=http"):
            assert forbidden not in answer.text, (path, forbidden)


@pytest.mark.parametrize("with_token", [False, True])
def test_a_forged_request_is_refused_also_where_a_proxy_adds_the_token(
    page: Page, session: requests.Session, with_token: bool
) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    if with_token:
        headers["Authorization"] = f"token {TOKEN}"
    answer = session.post(f"{page.url}/read-again", {}, headers=headers, timeout=60)
    assert answer.status_code == 403
    assert "Nothing was done" in words(answer.text)
    assert session.get(f"{page.url}/read-again", timeout=60).status_code == 405


@pytest.mark.parametrize("action", ACTIONS)
def test_no_action_is_done_by_a_link_or_by_a_form_of_another_site(
    page: Page, session: requests.Session, shown: Clinic, action: str
) -> None:
    before = left_behind(shown)
    assert session.get(f"{page.url}/{action}", timeout=60).status_code == 405
    given = {"line": "S5", "who": "A. Forger", "text": "agreed"}
    for token in ({}, {"_xsrf": "forged"}):
        forged = session.post(f"{page.url}/{action}", given | token, timeout=60)
        assert forged.status_code == 403
    assert left_behind(shown) == before


def test_a_host_that_the_server_does_not_know_is_told_with_what_to_do(page: Page) -> None:
    """It said that the request had not come from this page, or, at the login, showed nothing."""
    for address in (page.url, f"{page.origin}/login"):
        answer = requests.get(address, headers={"Host": "nexus.clinic.example"}, timeout=60)
        assert answer.status_code == 403
        text = words(answer.text)
        assert "asked for as nexus.clinic.example, a name that this server does not know" in text
        assert "--behind" in text


def test_a_login_that_is_refused_is_told_on_a_page_of_ours(page: Page) -> None:
    """As when the browser has forgotten its cookies while the form was open."""
    answer = requests.post(f"{page.origin}/login", {"password": TOKEN}, timeout=60)
    assert answer.status_code == 403
    assert "This was refused" in words(answer.text)
    assert "JavaScript" not in answer.text


def test_a_request_larger_than_a_form_is_refused_before_it_is_read(page: Page) -> None:
    """Of one of 300 MB, from somebody who was not let in, the server took 900 MB of memory."""
    head = f"POST {PATH}/sign HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {300 << 20}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", page.port), timeout=60) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 400 ")


def test_what_was_refused_is_one_line_of_the_servers_log(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    before = len(page.log.read_text())
    with record.at_work(settings_of(shown)):
        assert page.post(session, "dry-run").status_code == 409
    logged = page.log.read_text()[before:]
    assert "POST /settings/data-management/dry-run: a command of sandbox-dev is at" in logged
    assert "Traceback" not in logged


def test_the_server_of_the_page_has_no_kernels_and_no_files(
    page: Page, session: requests.Session
) -> None:
    for path in (
        "/api/kernels",
        "/api/contents",
        "/api/terminals",
        "/api/sessions",
        "/lab",
        "/tree",
    ):
        assert session.get(page.origin + path, timeout=60).status_code == 404, path


def test_the_page_shows_what_nexus_holds_and_what_it_lacks(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    text = settled(page, session, "read-again", "Current data as of")
    patients = shown.value("SELECT count(*) FROM patients")
    without = shown.value("SELECT count(*) FROM patients WHERE clinic_id IS NULL")
    linked = shown.value(
        "SELECT count(*) FROM documents_document d JOIN patients p ON p.id = d.object_id"
    )
    assert f"Patients {patients:,} without clinic {without:,}" in text
    assert f"linked to a patient {linked:,}" in text
    for name in (
        "Appointments",
        "Notes",
        "Letters",
        "Reminders",
        "SMS messages",
        "SMS replies",
        "Images",
    ):
        assert name in text


def test_the_page_shows_the_change_since_the_last_run(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    ((note, *_),) = shown.rows("SELECT id FROM notes ORDER BY id LIMIT 1")
    with shown.connect() as connection, connection.transaction(force_rollback=False):
        connection.execute("CREATE TABLE kept_aside AS SELECT * FROM notes WHERE id = %s", (note,))
        connection.execute("DELETE FROM notes WHERE id = %s", (note,))
    try:
        text = settled(page, session, "read-again", "Notes")
        assert "\N{MINUS SIGN}1" in text
        assert "The last run that was committed: 2" in text
    finally:
        with shown.connect() as connection, connection.transaction():
            connection.execute("INSERT INTO notes SELECT * FROM kept_aside")
            connection.execute("DROP TABLE kept_aside")


def test_no_value_of_a_patient_is_on_the_page(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    text = session.get(page.url, timeout=30).text
    names = {n for row in shown.rows("SELECT last_name, health_number FROM patients") for n in row}
    assert [name for name in names if name and len(name) > 3 and f" {name} " in words(text)] == []


def test_the_page_shows_each_connection_and_the_last_sync(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    text = settled(page, session, "test-again", "Connections as of")
    assert "FileMaker, Data API connected" in text
    assert "FileMaker, OData connected" in text
    assert "PostgreSQL connected" in text
    assert "rights complete" in text
    assert "S3 connected" in text
    assert "files were missing when run" in text
    runs = record.every(settings_of(shown))
    undone = record.taken_back(runs)
    known = [r.id for r in runs if r.is_committed() and r.has(Snapshot) and r.id not in undone]
    assert f"by run {known[-1]}" in text
    assert "API_Contacts Data API" in text


def test_of_a_bucket_that_does_not_answer_nothing_older_is_told(shown: Clinic) -> None:
    """That files were missing would be read as if that, too, were known of now."""
    known = settings_of(shown)
    nobody = {"endpoint": f"http://127.0.0.1:{process.free_port()}"}
    away = known.model_copy(update={"s3": known.s3.model_copy(update=nobody)})
    assert "files were missing" in connections.read(known).s3.warning
    silent = connections.read(away).s3
    assert (silent.is_connected, silent.warning) == (False, "")


def test_the_page_says_of_which_day_it_is(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    """On paper "as of 04:11" and "1 minute ago" are of any day."""
    zone = settings_of(shown).zone
    days = [datetime.now(zone)]
    text = said(page, session)
    days.append(datetime.now(zone))
    assert any(f"Shown {day:%Y-%m-%d} " in text for day in days)


def test_a_run_that_the_database_does_not_know_is_no_last_sync(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    """Restored from before that run, Nexus holds what FileMaker had earlier, or never had."""
    before = settled(page, session, "read-again", "Last sync from FileMaker: 2")
    with shown.connect(role=ROLE) as connection:
        connection.execute("ALTER TABLE nexus_reimport.runs RENAME TO runs_aside")
    try:
        text = settled(page, session, "read-again", "No run was committed in this database yet")
        assert "Last sync from FileMaker: no run that is on record here has brought" in text
    finally:
        with shown.connect(role=ROLE) as connection:
            connection.execute("ALTER TABLE nexus_reimport.runs_aside RENAME TO runs")
    after = settled(page, session, "read-again", "Last sync from FileMaker: 2")
    sync = re.compile(r"Last sync from FileMaker: .*? by run (\S+)")
    assert sync.findall(before) == sync.findall(after) != []


def test_a_filemaker_that_does_not_answer_is_told_and_the_rest_stands(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    secrets = shown.folder / ".env.sandbox-dev"
    kept = secrets.read_text()
    secrets.write_text(kept.replace(shown.simulator.url, "http://127.0.0.1:9"))
    try:
        text = settled(page, session, "test-again", "FileMaker, Data API not connected")
        assert "PostgreSQL connected" in text
        assert "Next: Fix what Connections shows, then start a dry run." in text
        assert "next " in text
    finally:
        secrets.write_text(kept)
    assert "not connected" not in settled(page, session, "test-again", "connected")


def test_a_database_that_does_not_answer_is_told_with_the_time_since_when(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    secrets = shown.folder / ".env.sandbox-dev"
    kept = secrets.read_text()
    settled(page, session, "read-again", "Patients")  # the numbers that are older then
    secrets.write_text(kept.replace(str(shown.server.port), "9"))
    try:
        text = settled(page, session, "read-again", "Nexus could not be read, since ")
        assert "The numbers below are older" in text
    finally:
        secrets.write_text(kept)
    assert "could not be read" not in settled(page, session, "read-again", "Patients")


def test_a_right_that_is_missing_is_told_with_the_statement_that_gives_it(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    name = sql.Identifier(ROLE)
    with psycopg.connect(shown.server.dsn(shown.databases["dev"]), autocommit=True) as connection:
        connection.execute(sql.SQL("REVOKE DELETE ON notes FROM {}").format(name))
        try:
            text = settled(page, session, "test-again", "rights are missing")
            assert re.search(rf"GRANT DELETE ON TABLE \S*notes TO {ROLE};", text)
        finally:
            connection.execute(sql.SQL("GRANT DELETE ON notes TO {}").format(name))
    settled(page, session, "test-again", "rights complete")


def test_reading_for_the_page_lets_go_of_whoever_waits(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    with shown.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE notes")
        began = time.monotonic()
        text = settled(page, session, "read-again", "could not be read")
        assert time.monotonic() - began < 60, "it does not wait for the lock"
        assert "another session has locked it" in text
    settled(page, session, "read-again", "Notes")


def test_an_environment_that_is_broken_is_told_in_four_lines(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    path = shown.folder / "sandbox-dev.toml"
    kept = path.read_text()
    path.write_text(kept + "\nnothing_known = 1\n")
    try:
        answer = session.get(page.url, timeout=60)
        assert answer.status_code == 500
        assert "nothing_known" in words(answer.text)
        assert "fix the file" in words(answer.text)
    finally:
        path.write_text(kept)


def test_a_run_that_somebody_has_started_elsewhere_is_shown_and_nothing_else_can_be_started(
    page: Page, session: requests.Session, shown: Clinic
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
    page: Page, session: requests.Session, shown: Clinic, who: str
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
    page: Page, session: requests.Session, shown: Clinic
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
    page: Page, session: requests.Session, shown: Clinic
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


# ---------------------------------------------------------------- the sign-off


def test_a_line_that_was_signed_since_is_not_signed_nor_taken_back_by_an_older_page(
    page: Page, session: requests.Session, shown: Clinic
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
    page: Page, session: requests.Session, shown: Clinic
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
    page: Page, session: requests.Session, shown: Clinic
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


def test_two_people_sign_at_once_and_both_lines_stand(page: Page, shown: Clinic) -> None:
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
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    before = started(shown)
    given = {"name": "A", "reason": "B", "phrase": "DEV 1", "digest": "0" * 12}
    answer = page.post(session, "execute", **given)
    assert answer.status_code == 409
    assert "the full reimport is closed" in words(answer.text)
    # 422 where a test before this one has looked: the page is that of the whole session.
    assert page.post(session, "roll-back", **given).status_code in (409, 422)
    assert started(shown) == before


def test_an_archived_page_is_shown_as_it_lies_there_and_can_do_nothing(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    """Also one into which somebody has put a script."""
    assert shown.executed_once is not None
    run = record.find(settings_of(shown), shown.executed_once().run)
    planted = run.folder / "planted.html"
    planted.write_text("<script>alert(1)</script>")
    try:
        listed = words(session.get(f"{page.url}/runs/{run.id}", timeout=60).text)
        assert "planted.html (not as it was sealed)" in listed
        assert listed.count("not as it was sealed") == 2, "among the pages, and among all files"
        answer = session.get(f"{page.url}/runs/{run.id}/files/planted.html", timeout=60)
        assert answer.text == planted.read_text()
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("sandbox; default-src 'none';")
        assert "script" not in policy
    finally:
        planted.unlink()
    for name, path in (("plan.json", "files/"), ("journal.jsonl", "files/")):
        (found,) = run.folder.rglob(name)
        place = found.relative_to(run.folder).as_posix()
        answer = session.get(f"{page.url}/runs/{run.id}/{path}{place}", timeout=60)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for wrong in (
        "..%2f..%2f..%2fenvironments%2fsandbox-dev.toml",
        "nothing.html",
        "%2fetc%2fpasswd",
    ):
        address = f"{page.url}/runs/{run.id}/files/{wrong}"
        assert session.get(address, timeout=60).status_code == 404, wrong
    assert session.get(f"{page.url}/runs/nothing", timeout=60).status_code == 404


def test_the_page_of_a_run_tells_it_whole(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    assert shown.executed_once is not None
    run = shown.executed_once().run
    text = words(session.get(f"{page.url}/runs/{run}", timeout=60).text)
    for told in (
        "COMPLETE",
        "Approved by",
        "read FileMaker finished (",
        "committed",
        "journal.jsonl",
        "SMS messages",
    ):
        assert told in text
    assert "sms_messages" not in text


def test_the_runs_can_be_read_a_table_at_a_time(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    runs = [run.id for run in record.every(settings_of(shown))]
    every = session.get(f"{page.url}/runs", timeout=60)
    oldest = session.get(f"{page.url}/runs", params={"newest": runs[0]}, timeout=60)
    assert (every.status_code, oldest.status_code) == (200, 200)
    assert runs
    for run in runs:
        link = f'href="{PATH}/runs/{run}"'
        assert link in every.text
        assert (link in oldest.text) is (run == runs[0]), run
    for wrong in ("nothing", "../" + runs[0], runs[0] + "x"):
        answer = session.get(f"{page.url}/runs", params={"newest": wrong}, timeout=60)
        assert answer.status_code == 404, wrong


def test_the_page_of_a_run_whose_record_is_damaged_says_so_and_stands(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    """One value that was changed made an error of the whole page; an empty journal was told as a
    run that was given up, with nothing written."""
    assert shown.executed_once is not None
    run = record.find(settings_of(shown), shown.executed_once().run)

    def told() -> str:
        answer = session.get(f"{page.url}/runs/{run.id}", timeout=60)
        assert answer.status_code == 200
        return words(answer.text)

    for name in ("plan.json", "applied.json", "proposal.json", "checks_after.json"):
        path = run.folder / name
        kept = path.read_bytes()
        path.write_text("{}")
        try:
            assert f"damaged {name} was changed, or is missing, and cannot be read back" in told()
        finally:
            path.write_bytes(kept)
    journal = run.folder / JOURNAL
    kept = journal.read_bytes()
    journal.write_bytes(b"")
    try:
        text = told()
        assert "IN DOUBT" in text
        assert "nothing was written" not in text
        assert "journal.jsonl: it is not the one that was sealed" in text
    finally:
        journal.write_bytes(kept)


def test_a_run_that_is_committed_and_not_verified_takes_the_top_of_the_page(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    run = record.create(settings_of(shown))
    try:
        run.journal(Event.STARTED, stage="apply", pid=1)
        run.journal(Event.COMMITTING)
        run.journal(Event.COMMITTED)
        run.journal(Event.FINISHED, stage="apply")
        assert run.verdict() is Verdict.COMMITTED_UNVERIFIED
        text = said(page, session)
        assert "A person must decide: read what stands below." in text
        assert text.index("COMMITTED, NOT VERIFIED") < text.index("Current data")
        assert "nexus-reimport finish sandbox-dev" in text
        assert f"run {run.id} is COMMITTED UNVERIFIED" in text
    finally:
        shutil.rmtree(run.folder)
        shutil.rmtree(run.private)


def test_a_run_to_be_finished_stays_at_the_top_after_a_rollback_that_was_killed(
    page: Page, session: requests.Session, shown: Clinic
) -> None:
    """The page said "Start a dry run", which would be refused, and had no button to finish it."""
    settings = settings_of(shown)
    run = record.create(settings)
    run.journal(Event.COMMITTED)
    back = record.create(settings, "rollback", undoes=run.id)
    back.journal(Event.STARTED, stage="back_up")
    try:
        text = said(page, session)
        assert "A person must decide: read what stands below." in text
        assert "COMMITTED, NOT VERIFIED" in text
        assert f"Nothing else can be started before run {run.id} is finished." in text
    finally:
        for one in (run, back):
            shutil.rmtree(one.bag)
            shutil.rmtree(one.private)


def test_the_page_loads_beside_jupyterlab(
    shown: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `nexus-reimport lab` starts it: the same page, in a server that has kernels and files."""
    monkeypatch.setenv("JUPYTER_TOKEN", TOKEN)
    monkeypatch.setenv(FOLDER_VARIABLE, str(shown.folder))
    port = process.free_port()
    copies = prepare("sandbox-dev", browser=False, port=port)
    log = (tmp_path / "log").open("wb")
    with subprocess.Popen(
        copies.command, env=copies.variables, stdout=log, stderr=log, umask=0o077
    ) as lab:
        try:
            address = f"http://127.0.0.1:{port}"
            until(lambda: lab.poll() is None and answers(address), 120)
            token = {"Authorization": f"token {TOKEN}"}
            found = requests.get(address + PATH, headers=token, timeout=30)
            assert "<title>DEV · Data management" in found.text
            assert requests.get(f"{address}/lab", headers=token, timeout=30).status_code == 200
        finally:
            lab.terminate()


def answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/login", timeout=60).status_code == 200
    except requests.ConnectionError:
        return False


def test_what_must_be_decided_is_told_as_lines_for_the_environments_file(clinic: Clinic) -> None:
    clinic.edit("sandbox-dev", 'when_different = { "*" = "filemaker" }\n', "")
    clinic.edit("sandbox-dev", 'past_scheduled = "keep"\n', "")
    clinic.edit(
        "sandbox-dev",
        'check = "every_planned_patient_has_a_clinic"\nat_most = 86',
        'check = "every_planned_patient_has_a_clinic"\nat_most = 0',
    )
    book = clinic.planned_anew()
    book.check_before()
    found = outcome.of(book.run)
    lines = tomllib.loads(found.paste)
    decisions = lines["decisions"]
    answers_given = [
        answer
        for entity in decisions.values()
        for name, given in entity.items()
        for answer in (given.values() if name == "when_different" else [given])
    ]
    assert set(answers_given) == {""}
    assert len(answers_given) == len(book.run.load(Plan).undecided()) > 1
    assert decisions["appointments"]["past_scheduled"] == ""
    assert "every_planned_patient_has_a_clinic" in {waiver["check"] for waiver in lines["waivers"]}
    assert "everything_is_decided" in {result.check for result in found.failed}
