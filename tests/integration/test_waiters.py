"""The preflight stops nobody: whoever waits for what it reads is seen, and it lets go first."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from nexus_reimport import runbook
from nexus_reimport import settings as environments
from nexus_reimport.errors import LockConflict
from nexus_reimport.model import Survey
from nexus_reimport.nexus import registry
from nexus_reimport.nexus.connection import pg_tools, waiters
from nexus_reimport.nexus.connection.postgres import Connection, connected, exported_snapshot
from nexus_reimport.record import Verdict
from nexus_reimport.settings import Postgres
from nexus_reimport.stages import backup, survey
from support.clinic import ROLE, Clinic
from support.halting import nothing_left
from support.interlock import secret
from support.poolers import in_session_mode, listening

DEV = "sandbox-dev"
MIGRATION = "a migration"
PATIENCE = 60.0  # seconds; without letting go it was as long as the preflight lasts, or for ever
OURS = (
    "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE a.application_name = 'nexus_reimport' AND l.granted AND l.mode = 'AccessShareLock'"
    " AND l.relation = 'public.patients'::regclass AND a.xact_start IS NOT NULL"
)


def place() -> Postgres:
    return environments.load(DEV).postgres


def until(ready: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.005)


@contextmanager
def migration(clinic: Clinic) -> Iterator[psycopg.Connection[Any]]:
    """A session of another application, which may change the schema."""
    with clinic.connect() as connection:
        connection.execute("SELECT set_config('application_name', %s, false)", (MIGRATION,))
        yield connection


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """``work`` in a thread of its own; its error is the test's."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(120)
    assert not thread.is_alive()
    assert failed == []


def seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def held(monkeypatch: pytest.MonkeyPatch, tries: int) -> None:
    """Each of the first ``tries`` of a survey lasts until somebody has waited for it.

    On a busy machine it was over before the other session had come.
    """
    read, left = survey.read, [tries]

    def read_until_somebody_waits(connection: Connection, *given: Any) -> Survey:
        left[0] -= 1
        value = read(connection, *given)
        if left[0] >= 0:
            until(lambda: connection.execute("SELECT 1").fetchall() == [])  # it is ended
        return value

    monkeypatch.setattr(survey, "read", read_until_somebody_waits)


def to_survey(clinic: Clinic) -> runbook.Runbook:
    book = runbook.begin(DEV)
    book.snapshot()
    book.census()
    return book


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE patients ADD COLUMN since_when date",
        "VACUUM (FULL) patients",
        "LOCK TABLE patients IN ACCESS EXCLUSIVE MODE",
    ],
)
def test_a_select_of_the_application_waits_for_a_moment_and_the_preflight_goes_on(
    clinic: Clinic, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(monkeypatch, 1)
    book = to_survey(clinic)
    waited: list[float] = []

    def application() -> None:
        # By a session that is there already: the change waits for a fifth of a second.
        until(lambda: asks.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall())
        waited.append(seconds(lambda: asks.execute("SELECT count(*) FROM patients")))

    def change() -> None:
        until(lambda: clinic.value(OURS, role=ROLE))
        with migration(clinic) as other, beside(application):
            if statement.startswith("LOCK"):
                with other.transaction():
                    other.execute(statement)
            else:
                other.execute(statement)

    with clinic.connect() as asks, beside(change):
        seen, saved = book.survey_and_backup()
    assert waited[0] < PATIENCE
    assert seen.tables["patients"].rows == clinic.value("SELECT count(*) FROM patients")
    assert saved.tables_in_dump > 0
    (told, *_) = [e.line for e in book.run.events() if e.event == "let go"]
    assert f"({MIGRATION}), table patients" in told["what"]


@pytest.mark.parametrize(
    ("index", "waits"),
    [
        ("CREATE INDEX CONCURRENTLY beside ON notes (created_at)", r"\(a migration\)$"),
        ("REINDEX INDEX notes_pkey", r"\(a migration\), table notes$"),  # it named the index
    ],
)
def test_an_index_that_is_built_beside_does_not_wait_for_the_end_of_the_dump(
    clinic: Clinic, index: LiteralString, waits: str
) -> None:
    waited: list[float] = []

    def build() -> None:
        with migration(clinic) as other:
            waited.append(seconds(lambda: other.execute(index)))

    def read() -> None:
        with waiters.reading(place()) as connection, exported_snapshot(connection):
            connection.execute("SELECT count(*) FROM public.notes")
            with beside(build):
                until(lambda: waited)
            connection.execute("SELECT 1")

    with pytest.raises(LockConflict) as told:
        read()
    assert re.search(waits, told.value.what)
    assert waited[0] < PATIENCE


def test_after_three_tries_it_stops_holds_nothing_and_says_who_waited(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(monkeypatch, 3)
    book = to_survey(clinic)
    done = threading.Event()
    waited: list[float] = []

    def again_and_again() -> None:
        with migration(clinic) as other:
            while not done.is_set():
                until(lambda: done.is_set() or clinic.value(OURS, role=ROLE))
                with other.transaction():
                    lock = "LOCK TABLE patients IN ACCESS EXCLUSIVE MODE"
                    waited.append(seconds(lambda: other.execute(lock)))  # noqa: B023 - at once

    with beside(again_and_again):
        with pytest.raises(LockConflict) as told:
            book.survey_and_backup()
        done.set()
    assert max(waited) < PATIENCE
    error = told.value
    what = "another session waited for what we read, so we released our locks: pid "
    assert error.what.startswith(what)
    assert f"({MIGRATION}), table patients" in error.what
    assert error.where == "tried 3 times"
    assert error.state == "nothing was written; no lock and no snapshot is held any more"
    assert error.next.startswith(
        "wait until that work has ended (ALTER TABLE, VACUUM FULL, LOCK TABLE"
    )
    assert book.run.verdict() is Verdict.STOPPED
    nothing_left(clinic)


def test_what_another_session_has_locked_is_waited_for_briefly_and_named(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiters, "QUIET", 0.2)
    book = to_survey(clinic)
    with migration(clinic) as other, other.transaction():
        other.execute("LOCK TABLE appointments IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(LockConflict) as told:
            book.survey_and_backup()
    assert f"({MIGRATION}), table appointments" in told.value.what
    assert told.value.where == "tried 3 times"
    nothing_left(clinic)


def test_pg_dump_waits_for_no_lock_longer_than_we_do(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiters, "QUIET", 0.2)
    clinic.do("CREATE SCHEMA elsewhere")
    clinic.do("CREATE TABLE elsewhere.lists (id int)")
    clinic.grant()
    book = to_survey(clinic)
    with migration(clinic) as other, other.transaction():
        other.execute("LOCK TABLE elsewhere.lists IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(
            LockConflict, match="a table could not be read, because another session has locked it"
        ):
            book.survey_and_backup()
        assert clinic.value("SELECT count(*) FROM patients") > 0
    nothing_left(clinic)


def test_a_long_dump_does_not_lose_its_snapshot_to_our_own_time_outs(
    clinic: Clinic, tmp_path: Path
) -> None:
    clinic.do("CREATE SCHEMA elsewhere")
    clinic.do("CREATE TABLE elsewhere.lists (id int)")
    clinic.grant()
    book = runbook.begin(DEV)
    held = threading.Event()

    def hold() -> None:
        with migration(clinic) as other, other.transaction():
            other.execute("LOCK TABLE elsewhere.lists IN ACCESS EXCLUSIVE MODE")
            held.set()
            time.sleep(3)

    with beside(hold):
        assert held.wait(30)
        with connected(place()) as connection, exported_snapshot(connection) as shared:
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = '2s'")
            command = [
                pg_tools.folder("18.0", None) / "pg_dump",
                f"--snapshot={shared}",
                f"--file={tmp_path / 'dump'}",
                "--lock-wait-timeout=60000",
            ]
            pg_tools.run(command, place(), tmp_path / "log", lambda: connection.execute("SELECT 1"))
            saved = backup.take(connection, shared, place(), book.mapping, tmp_path / "b", {})
    assert saved.tables_in_dump > 0


def test_a_program_is_ended_with_the_session_that_it_reads_for(
    clinic: Clinic, tmp_path: Path
) -> None:
    with migration(clinic) as other, other.transaction():
        other.execute("LOCK TABLE patients IN ACCESS EXCLUSIVE MODE")
        command = [pg_tools.folder("18.0", None) / "pg_dump", f"--file={tmp_path / 'dump'}"]
        with connected(place()) as connection:
            pid = connection.info.backend_pid
            clinic.do("SELECT pg_terminate_backend(%s)", "dev", pid, role=ROLE)
            with pytest.raises(psycopg.Error):
                pg_tools.run(
                    command, place(), tmp_path / "log", lambda: connection.execute("SELECT 1")
                )
    nothing_left(clinic)


def test_any_long_read_lets_go(clinic: Clinic) -> None:
    waited: list[float] = []

    def change() -> None:
        with migration(clinic) as other, other.transaction():
            lock = "LOCK TABLE patients IN ACCESS EXCLUSIVE MODE"
            waited.append(seconds(lambda: other.execute(lock)))

    state = "committed; nothing was written by this step"

    def read() -> None:
        with waiters.reading(place(), state) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM public.patients")
            with beside(change):
                until(lambda: waited)
            connection.execute("SELECT count(*) FROM public.patients")

    with pytest.raises(LockConflict, match="a migration") as told:
        read()
    assert waited[0] < PATIENCE
    assert told.value.state.startswith(state)


def test_a_run_that_waits_for_its_locks_lets_an_alter_table_pass(
    clinic: Clinic, rehearsed: Path
) -> None:
    """Also behind a pooler, by whose word our session is a process that is not there."""
    clinic.edit(DEV, "lock_wait = 10", "lock_wait = 300")
    before = clinic.state()
    waited: list[float] = []

    def change() -> None:
        with migration(clinic) as other:
            until(lambda: clinic.value(OURS, role=ROLE))
            alter = "ALTER TABLE patients ALTER COLUMN id SET STATISTICS 50"
            lock = "LOCK TABLE patients IN ACCESS EXCLUSIVE MODE"
            with other.transaction():
                waited.append(seconds(lambda: other.execute(lock)))
                other.execute(alter)

    with clinic.connect() as desk:
        desk.execute("BEGIN; LOCK TABLE notes IN ROW EXCLUSIVE MODE")
        with listening(in_session_mode(clinic.server.port)) as port:
            secret(clinic, "NEXUS_SANDBOX_PG_PORT", port)
            book = clinic.approved(rehearsed)
            with beside(change), pytest.raises(LockConflict, match="a migration"):
                book.apply()
        desk.execute("ROLLBACK")
    assert waited[0] < PATIENCE
    assert clinic.state() == before
    assert book.run.verdict() is Verdict.STOPPED


def test_who_only_reads_our_table_of_runs_does_not_wait_for_a_run(clinic: Clinic) -> None:
    """An auditor's SELECT would wait until COMMIT, and would end a run that has not locked yet."""
    with clinic.connect(role=ROLE) as run, clinic.connect(role=ROLE) as auditor:
        registry.make(run)  # the first run of a database has made it
        auditor.execute("SET lock_timeout = '5s'")
        with run.transaction():
            registry.make(run)
            assert auditor.execute("SELECT run, seal FROM nexus_reimport.runs").fetchall() == []


def test_a_table_of_runs_of_an_older_version_is_brought_up_to_date(clinic: Clinic) -> None:
    columns = (
        "SELECT attname FROM pg_attribute WHERE attrelid = 'nexus_reimport.runs'::regclass"
        " AND attnum > 0 AND NOT attisdropped ORDER BY attname"
    )
    with clinic.connect(role=ROLE) as connection:
        registry.make(connection)
        whole = connection.execute(columns).fetchall()
        connection.execute(
            "ALTER TABLE nexus_reimport.runs DROP COLUMN number, DROP COLUMN sequence"
        )
        connection.execute(
            "INSERT INTO nexus_reimport.runs (run, environment, digest, approved_by, before, after)"
            " VALUES ('one', 'sandbox-dev', '', '', '{}', '{}')"
        )
        registry.make(connection)
        assert connection.execute(columns).fetchall() == whole
        assert connection.execute("SELECT number FROM nexus_reimport.runs").fetchall() == [(1,)]
        # One that has numbers, of which another column is lacking: a clock may have gone back.
        connection.execute(
            "ALTER TABLE nexus_reimport.runs DROP COLUMN verdict;"
            " INSERT INTO nexus_reimport.runs (run, environment, digest, approved_by, before,"
            " after, number, committed_at) VALUES ('two', 'sandbox-dev', '', '', '{}', '{}', 2,"
            " now() - interval '1 day')"
        )
        registry.make(connection)
        assert connection.execute(columns).fetchall() == whole
        assert [r.run for r in registry.runs(connection)] == ["two", "one"]
