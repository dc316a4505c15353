"""What a session of ours is, whatever lies around it: environment, poolers, roles, dead clients."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from nexus_reimport import runbook
from nexus_reimport import settings as environments
from nexus_reimport.errors import Busy, TargetError
from nexus_reimport.events import Event, null_journal
from nexus_reimport.model import Backup
from nexus_reimport.nexus import registry
from nexus_reimport.nexus.connection import pg_tools, scratch, session, standbys
from nexus_reimport.nexus.connection.postgres import Connection, connected, scalar
from nexus_reimport.nexus.writing import transaction
from nexus_reimport.nexus.writing.transaction import Reports, Transaction
from nexus_reimport.nexus.writing.vacuum import vacuum
from nexus_reimport.runbook import adoption
from nexus_reimport.runner.watch import watching
from nexus_reimport.settings import Postgres
from nexus_sandbox.postgres.access import SUPERUSER
from nexus_sandbox.postgres.server import binaries
from support.clinic import ROLE, Clinic, surveyed
from support.interlock import a_standby_is_away, secret
from support.poolers import TransactionPool, in_session_mode, listening
from support.running import until

DEV = "sandbox-dev"
ODD = {
    "timezone": "Australia/Sydney",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-5",
    "default_transaction_read_only": "on",
    "synchronous_commit": "off",
    "statement_timeout": "1234",
    "transaction_timeout": "4321",
    "search_path": "nowhere",
}
HELD = "SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' AND locktype = 'relation'"


def place() -> Postgres:
    return environments.load(DEV).postgres


def in_transaction(connection: Connection, target: Postgres | None = None) -> Transaction:
    return Transaction(connection, target or place(), "public", Reports("", 1, null_journal))


def settings_of(target: Postgres) -> dict[str, str | None]:
    with connected(target) as connection:
        return dict(session._read(connection)[1])


@contextmanager
def administrator(clinic: Clinic) -> Iterator[psycopg.Connection[object]]:
    with clinic.superuser() as found:
        yield found


def as_told(found: dict[str, str | None]) -> None:
    wrong = {
        n: v
        for n, v in found.items()
        if n in session.ALLOWED
        and v is not None
        and v.casefold() not in [a.casefold() for a in session.ALLOWED[n]]
    }
    assert wrong == {}
    assert found["timezone"] == "UTC"


# ---------------------------------------------------------------- the environment


def test_the_programs_of_postgresql_compile_nothing_either(clinic: Clinic, tmp_path: Path) -> None:
    asked = [binaries() / "psql", "--no-psqlrc", "--tuples-only", "--command", "SHOW jit"]
    clinic.do(f"ALTER ROLE {ROLE} SET jit = on", role=SUPERUSER)
    try:
        assert pg_tools.run(asked, place(), tmp_path / "log").split() == ["off"]
    finally:
        clinic.do(f"ALTER ROLE {ROLE} RESET jit", role=SUPERUSER)


def test_no_variable_of_libpq_changes_a_session(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = tmp_path / "pg_service.conf"
    service.write_text(
        "[another]\nhost=192.0.2.1\nport=9\nsslmode=require\noptions=-c timezone=X\n"
    )
    asked = {
        "PGHOST": "192.0.2.1",
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "9",
        "PGDATABASE": "another",
        "PGUSER": "another",
        "PGPASSWORD": "another",
        "PGSERVICE": "another",
        "PGSERVICEFILE": str(service),
        "PGPASSFILE": str(tmp_path / "nothing"),
        "PGOPTIONS": "-c timezone=Australia/Sydney",
        "PGTZ": "Australia/Sydney",
        "PGDATESTYLE": "SQL, DMY",
        "PGGEQO": "off",
        "PGCLIENTENCODING": "LATIN1",
        "PGAPPNAME": "another",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/nothing",
        "PGSSLCERT": "/nothing",
        "PGSSLKEY": "/nothing",
        "PGREQUIREAUTH": "password",
        "PGCHANNELBINDING": "require",
        "PGGSSENCMODE": "require",
        "PGTARGETSESSIONATTRS": "standby",
        "PGCONNECT_TIMEOUT": "1",
        "PGSYSCONFDIR": str(tmp_path),
    }
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    with connected(place()) as connection:
        as_told(dict(session._read(connection)[1]))
        assert connection.info.dbname == clinic.databases["dev"]
        assert scalar(connection, "SHOW application_name") == session.APPLICATION
        assert scalar(connection, "SHOW geqo") == "on"
    assert {name: os.environ.get(name) for name in asked} == asked, "and it is left as it was"
    book = runbook.begin(DEV)
    book.snapshot()
    book.census()
    _, saved = book.survey_and_backup()
    assert saved.tables_in_dump > 0, "pg_dump is told the same"


def test_a_program_is_told_nothing_else_either(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = clinic.databases["dev"]
    with administrator(clinic) as admin:
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        admin.execute(f"ALTER DATABASE {name} SET client_encoding = 'LATIN1'")
    for variable, value in {
        "PGTZ": "Australia/Sydney",
        "PGHOSTADDR": "192.0.2.1",
        "PGSERVICE": "x",
        "PGSSLROOTCERT": "/nothing",
        "PGDATESTYLE": "SQL",
    }.items():
        monkeypatch.setenv(variable, value)
    for setting, value in (
        ("timezone", "UTC"),
        ("datestyle", "ISO, MDY"),
        ("default_transaction_read_only", "off"),
        ("client_encoding", "UTF8"),
    ):
        command: list[str | Path] = [binaries() / "psql", "-XAtc", f"SHOW {setting}"]
        assert pg_tools.run(command, place(), tmp_path / "log").strip() == value


def test_threads_that_connect_at_once_leave_the_environment_as_it_was(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "Australia/Sydney")
    zones: list[object] = []

    def connect() -> None:
        for _ in range(5):
            with connected(place()) as connection:
                zones.append(scalar(connection, "SHOW timezone"))

    threads = [threading.Thread(target=connect) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert zones == ["UTC"] * 20
    assert os.environ["PGTZ"] == "Australia/Sydney"


# ---------------------------------------------------------------- roles, databases, poolers


def test_what_role_and_database_have_as_their_own_does_not_count(clinic: Clinic) -> None:
    with administrator(clinic) as admin:
        for name, value in ODD.items():
            admin.execute(f"ALTER DATABASE {clinic.databases['dev']} SET {name} = '{value}'")
    as_told(settings_of(place()))


def test_a_clinic_is_dumped_whatever_letters_its_role_would_be_sent(clinic: Clinic) -> None:
    """pg_dump failed at the first letter that the role's own encoding does not have."""
    clinic.do("UPDATE clinics SET name = name || ' 診療所'")
    clinic.do(f"ALTER ROLE {ROLE} SET client_encoding = 'LATIN1'", role=SUPERUSER)
    try:
        book = surveyed()
    finally:
        clinic.do(f"ALTER ROLE {ROLE} RESET client_encoding", role=SUPERUSER)
    assert book.run.load(Backup, "backup").tables_in_dump > 0


def test_a_second_connection_is_another_session_with_the_same_settings(clinic: Clinic) -> None:
    target = place()
    with connected(target) as first, connected(target) as second:
        assert first.info.backend_pid != second.info.backend_pid
        assert (first.autocommit, second.autocommit) == (True, True)
        assert session._read(first)[1] == session._read(second)[1]
        for connection in (first, second):
            assert scalar(connection, "SELECT date 'infinity'") == "infinity", "as text"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("session_replication_role", "replica"),
        ("track_counts", "off"),
        ("zero_damaged_pages", "on"),
        ("ignore_checksum_failure", "on"),
    ],
)
def test_a_setting_that_our_role_may_not_set_is_refused_by_name(
    clinic: Clinic, setting: str, value: str
) -> None:
    """Without counters each table was said to have written 0 rows, under the locks."""
    database = clinic.databases["dev"]
    with administrator(clinic) as admin:
        admin.execute(f"ALTER DATABASE {database} SET {setting} = '{value}'")
    with pytest.raises(TargetError) as told:
        runbook.begin(DEV)
    assert setting in str(told.value)
    assert told.value.state == "nothing was written"
    assert not clinic.simulator.requests, "FileMaker is not asked"


def test_a_pooler_that_drops_our_settings_gets_them_one_by_one(clinic: Clinic) -> None:
    with administrator(clinic) as admin:
        for name, value in ODD.items():
            admin.execute(f"ALTER DATABASE {clinic.databases['dev']} SET {name} = '{value}'")
    with listening(in_session_mode(clinic.server.port)) as port:
        as_told(settings_of(place().model_copy(update={"port": port})))


@pytest.mark.parametrize("in_turn", [False, True])
def test_a_pooler_that_lends_sessions_for_a_transaction_is_refused_by_name(
    clinic: Clinic, in_turn: bool
) -> None:
    pool = TransactionPool(clinic.server.dsn(clinic.databases["dev"], ROLE), in_turn=in_turn)
    try:
        with listening(pool) as port:
            secret(clinic, "NEXUS_SANDBOX_PG_PORT", port)
            with pytest.raises(TargetError) as told:
                runbook.begin(DEV)
    finally:
        pool.close()
    assert told.value.what == ("a connection pooler gives each transaction a different session")
    assert "[postgres]" in told.value.next
    assert not clinic.simulator.requests, "FileMaker is not asked"


def test_commit_waits_for_the_disk_whatever_a_function_has_set(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    before = clinic.state()
    with connected(place()) as connection, pytest.raises(TargetError, match="synchronous_commit"):
        transaction.write_transaction(
            in_transaction(connection),
            lambda: connection.execute("SELECT set_config('synchronous_commit', 'off', true)"),
            commit=True,
            journal=null_journal,
        )
    assert clinic.state() == before
    assert book.apply().committed


def test_a_commit_that_would_wait_for_a_standby_without_end_is_not_sent(
    clinic: Clinic, rehearsed: Path
) -> None:
    """Its locks would have stayed, and a preflight stood at CREATE DATABASE without a word."""
    book = clinic.approved(rehearsed)
    before, away = clinic.state(), "of the standbys that must confirm it, 0 of 1 are connected"
    with a_standby_is_away(clinic):
        for begun in (book.apply, lambda: runbook.begin(DEV)):
            with pytest.raises(TargetError, match=away) as told:
                begun()
            assert "bring the standby back" in told.value.next
        with connected(place()) as connection:
            connection.execute("SET synchronous_commit = local")  # which waits for no standby
            assert not standbys.require(connection, ""), "none is seen, and a COMMIT ends"
    assert not clinic.simulator.requests, "FileMaker is not asked"
    with (
        ExitStack() as later,
        connected(place()) as connection,
        pytest.raises(TargetError, match=away),
    ):
        transaction.write_transaction(
            in_transaction(connection),
            lambda: later.enter_context(a_standby_is_away(clinic)),
            commit=True,
            journal=null_journal,
        )
    assert clinic.state() == before


def test_what_can_be_done_again_waits_for_no_standby(clinic: Clinic) -> None:
    """Each of these stood without an end and without a word."""
    register = environments.load(DEV).scratch_register
    clinic.do("CREATE SCHEMA nexus_reimport_undo_none", role=ROLE)
    clinic.do("UPDATE nexus_reimport.deployment SET database_name = 'x'", role=ROLE)
    shown = adoption.candidate(DEV, this_is_a_copy=True)
    with a_standby_is_away(clinic):
        adopted = adoption.adopt(shown, this_is_a_copy=True)
        with connected(place()) as connection:
            like = scratch.shape(connection)
            registry.drop_undo(connection, "nexus_reimport_undo_none")
        with scratch.created(place(), like, register) as copy:
            create = [binaries() / "psql", "--command", "CREATE TABLE t ()"]
            pg_tools.run(create, copy.place, register / "log")
    assert adopted.marker.identity == adopted.identity


def test_a_commit_that_loses_its_standby_ends_in_time_and_says_that_it_is_not_confirmed(
    clinic: Clinic,
) -> None:
    """COMMIT waited without an end, and the clinic's writers with it."""
    target = place().model_copy(update={"max_writers_wait": 4.0})
    seen: list[Event] = []
    with ExitStack() as later, connected(target) as connection:

        def lose_it(event: Event, **_: object) -> None:
            seen.append(event)
            if event is Event.COMMITTING:
                later.enter_context(a_standby_is_away(clinic))

        work_in = in_transaction(connection, target)

        def work() -> None:
            work_in.lock(["patients"])
            connection.execute("SELECT pg_logical_emit_message(true, 'test', '')")

        with work_in.in_time():
            transaction.write_transaction(work_in, work, commit=True, journal=lose_it)
        assert work_in.waited() < 30
        assert clinic.value(HELD, role=SUPERUSER) == 0
        # Each waited ten minutes, and the seal after it without an end.
        connection.execute("SET statement_timeout = '5s'")
        assert list(vacuum(work_in, ["patients"])) == []
        registry.make(connection)
        with connected(target) as another:
            registry.write_seal(another, "none", "", 0, "")
            assert scalar(another, "SHOW synchronous_commit") == "local"
    assert seen == [Event.COMMITTING, Event.COMMITTED]
    assert not work_in.is_confirmed


# ---------------------------------------------------------------- what a killed run has left

HOLDS = """
import sys, time
from nexus_reimport import settings
from nexus_reimport.nexus.writing import run_lock
from nexus_reimport.nexus.connection.postgres import connected
place = settings.load(sys.argv[1]).postgres
with connected(place) as connection, run_lock.run_lock(connection, 1):
    connection.execute("BEGIN")
    connection.execute("LOCK TABLE public.patients IN EXCLUSIVE MODE")
    print("here", flush=True)
    connection.execute("SELECT pg_sleep(600)")
"""


@contextmanager
def at_work() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours whose session holds all locks and is busy on the server."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, DEV], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_session_of_a_killed_run_ends_by_itself_and_is_waited_for(
    clinic: Clinic, rehearsed: Path
) -> None:
    clinic.edit(DEV, "lock_wait = 10", "lock_wait = 60")
    book = clinic.approved(rehearsed)
    with at_work() as process:
        process.kill()
        process.wait()
        holder = clinic.rows(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%'"
            " AND pid <> pg_backend_pid()",
            role=ROLE,
        )
        assert book.apply().committed
    events = {e.event: e.line for e in book.run.events()}
    assert events["session"]["pid"], "the journal knows the server's process of this run"
    if holder:  # the server had not seen it yet
        assert events.get("waiting", {"pid": holder[0][0]})["pid"] == holder[0][0]


def test_a_session_that_stays_is_named_and_left_alone(clinic: Clinic, rehearsed: Path) -> None:
    clinic.edit(DEV, "lock_wait = 10", "lock_wait = 1")
    book = clinic.approved(rehearsed)
    query = (
        "SELECT pid, to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
        " FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'"
    )
    with at_work() as process:
        until(lambda: clinic.rows(query, role=ROLE))  # it says that it is there a moment before
        pid, since = clinic.rows(query, role=ROLE)[0]
        with pytest.raises(Busy) as told:
            book.apply()
        assert process.poll() is None
        assert clinic.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s", "dev", pid)
    assert f"pid {pid} (nexus_reimport, connected since {since} UTC)" in told.value.what
    assert told.value.where == "waited 1 s for it"


def test_who_is_waited_for_is_told_at_the_terminal(clinic: Clinic) -> None:
    run = runbook.begin(DEV).run
    said: list[str] = []
    with watching(run, said.append):
        run.journal(Event.WAITING, of="the run's lock", pid=4711, since="2026-03-01 02:00:00")
        run.journal(Event.LET_GO, what="another session waited for what we read", attempt=1)
    assert said == [
        f"{DEV}: waiting for the run's lock, held by pid 4711 of the server,"
        " connected since 2026-03-01 02:00:00 UTC",
        f"{DEV}: another session waited for what we read; it is tried again",
    ]


def test_the_sandbox_does_not_obey_them_either(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGTZ": "Australia/Sydney",
        "PGHOSTADDR": "192.0.2.1",
        "PGSERVICE": "x",
    }.items():
        monkeypatch.setenv(name, value)
    with clinic.server.access.connect(clinic.databases["dev"], ROLE) as connection:
        row = connection.execute("SHOW timezone").fetchone()
    assert row == ("UTC",)
