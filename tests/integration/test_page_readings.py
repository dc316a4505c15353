"""What the page shows of Nexus and of each connection, also where one does not answer."""

from __future__ import annotations

import re
import time
from datetime import datetime

import psycopg
import requests
from psycopg import sql

from nexus_reimport import record
from nexus_reimport.model import Snapshot
from nexus_reimport.runbook import connections
from nexus_sandbox import process
from support.clinic import ROLE, Clinic
from support.pages import ServedPage, said, settings_of, words


def settled(page: ServedPage, session: requests.Session, action: str, part: str) -> str:
    """What the page says once a reading that was asked for has ended."""
    page.post(session, action)
    for _ in range(600):
        if "being asked" not in (text := said(page, session)) and "being read" not in text:
            assert part in text, text
            return text
        time.sleep(0.2)
    raise AssertionError("the reading did not end")


def test_the_page_shows_what_nexus_holds_and_what_it_lacks(
    page: ServedPage, session: requests.Session, shown: Clinic
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
    page: ServedPage, session: requests.Session, shown: Clinic
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
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    text = session.get(page.url, timeout=30).text
    names = {n for row in shown.rows("SELECT last_name, health_number FROM patients") for n in row}
    assert [name for name in names if name and len(name) > 3 and f" {name} " in words(text)] == []


def test_the_page_shows_each_connection_and_the_last_sync(
    page: ServedPage, session: requests.Session, shown: Clinic
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
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    """On paper "as of 04:11" and "1 minute ago" are of any day."""
    zone = settings_of(shown).zone
    days = [datetime.now(zone)]
    text = said(page, session)
    days.append(datetime.now(zone))
    assert any(f"Shown {day:%Y-%m-%d} " in text for day in days)


def test_a_run_that_the_database_does_not_know_is_no_last_sync(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    """Restored from before that run, Nexus holds what FileMaker had earlier, or never had."""
    before = settled(page, session, "read-again", "Last sync from FileMaker: 2")
    with shown.connect(role=ROLE) as connection:
        connection.execute("ALTER TABLE nexus_reimport.runs RENAME TO runs_aside")
    try:
        text = settled(page, session, "read-again", "No run was committed in this database yet")
        assert "Last sync from FileMaker: not known, since no record here is of a run" in text
    finally:
        with shown.connect(role=ROLE) as connection:
            connection.execute("ALTER TABLE nexus_reimport.runs_aside RENAME TO runs")
    after = settled(page, session, "read-again", "Last sync from FileMaker: 2")
    sync = re.compile(r"Last sync from FileMaker: .*? by run (\S+)")
    assert sync.findall(before) == sync.findall(after) != []


def test_a_filemaker_that_does_not_answer_is_told_and_the_rest_stands(
    page: ServedPage, session: requests.Session, shown: Clinic
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
    page: ServedPage, session: requests.Session, shown: Clinic
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
    page: ServedPage, session: requests.Session, shown: Clinic
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
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    with shown.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE notes")
        began = time.monotonic()
        text = settled(page, session, "read-again", "could not be read")
        assert time.monotonic() - began < 60, "it does not wait for the lock"
        assert "another session has locked it" in text
    settled(page, session, "read-again", "Notes")


def test_an_environment_that_is_broken_is_told_in_four_lines(
    page: ServedPage, session: requests.Session, shown: Clinic
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
