"""A lock of somebody else ends a run as it was; the message names who holds it, and what to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from nexus_reimport import runbook
from nexus_reimport import settings as environments
from nexus_reimport.errors import ROLLED_BACK, Busy, LockConflict
from nexus_reimport.model import Survey
from nexus_reimport.nexus.connection import waiters
from nexus_reimport.record import Verdict
from support.applying import apply_with
from support.clinic import Clinic, surveyed
from support.halting import nothing_left
from support.running import DEV, until

DESK = "the front desk"
PREPARED = "BEGIN; {}; PREPARE TRANSACTION 'of the \"{}\"'"


@contextmanager
def prepared(clinic: Clinic, statement: str, name: str = "till") -> Iterator[None]:
    """A transaction that was prepared, and that nobody has ended: it has no session any more."""
    clinic.do(PREPARED.format(statement, name))
    try:
        yield
    finally:
        clinic.do(f"ROLLBACK PREPARED 'of the \"{name}\"'")


@contextmanager
def desk(clinic: Clinic, statement: str) -> Iterator[psycopg.Connection[object]]:
    """A session that has begun a transaction by ``statement``, and stays in it."""
    with clinic.connect() as connection:
        connection.execute("SELECT set_config('application_name', %s, false)", (DESK,))
        connection.execute(f"BEGIN; {statement}")
        yield connection
        connection.execute("ROLLBACK")


def test_a_prepared_transaction_that_has_written_is_named(clinic: Clinic, rehearsed: Path) -> None:
    """It was called a session that had just released the tables, and held them for ever."""
    clinic.edit(DEV, "lock_wait = 10", "lock_wait = 0.5")
    book, before = clinic.approved(rehearsed), clinic.state()
    # Who only reads keeps nobody waiting.
    reads = desk(clinic, "SELECT FROM patients")
    with reads, prepared(clinic, "UPDATE patients SET notes = notes"), pytest.raises(Busy) as told:
        book.apply()
    assert told.value.what == (
        "the tables are locked by prepared transaction 'of the \"till\"': patients"
    )
    assert "COMMIT PREPARED or ROLLBACK PREPARED" in told.value.next
    assert told.value.state == ROLLED_BACK
    assert clinic.state() == before
    assert runbook.resume(DEV, book.run.id).run.verdict() is Verdict.STOPPED


def test_a_prepared_transaction_is_told_in_the_preflight(clinic: Clinic) -> None:
    ours = "UPDATE notes SET content = content; SELECT FROM patients FOR UPDATE"
    of_others = "UPDATE clinics SET name = name; SELECT FROM patients"
    with prepared(clinic, ours), prepared(clinic, of_others, "desk"):
        notices = surveyed().run.load(Survey).notices
    (told,) = (notice for notice in notices if notice.startswith("prepared transaction"))
    assert "'of the \"till\"' has locked notes, patients, and" in told


def test_a_prepared_transaction_that_keeps_readers_out_is_named(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiters, "QUIET", 0.2)
    book = runbook.begin(DEV)
    book.snapshot()
    book.census()
    alter = "ALTER TABLE appointments ALTER id SET STATISTICS 50; LOCK TABLE appointments"
    of_others = prepared(clinic, "UPDATE clinics SET name = name", "desk")
    with of_others, prepared(clinic, alter), pytest.raises(LockConflict) as told:
        book.survey_and_backup()
    assert told.value.what.endswith(
        "it: prepared transaction 'of the \"till\"', table appointments"
    )
    assert "COMMIT PREPARED or ROLLBACK PREPARED" in told.value.next
    nothing_left(clinic)


def test_who_has_locked_a_table_that_a_run_reads_is_named(clinic: Clinic, rehearsed: Path) -> None:
    """It was an SQLSTATE, with the advice to find who it is."""
    book, before = clinic.approved(rehearsed), clinic.state()
    with desk(clinic, "LOCK TABLE notes"), pytest.raises(LockConflict) as told:
        book.apply()
    assert f"({DESK}), table notes" in told.value.what
    assert told.value.state.startswith(ROLLED_BACK)
    assert clinic.state() == before
    nothing_left(clinic)
    # To read a table is to open its indexes: of this lock it was said that its session had ended.
    with desk(clinic, "REINDEX INDEX notes_pkey"), clinic.connect() as reader:
        with pytest.raises(psycopg.errors.LockNotAvailable):
            reader.execute("SET lock_timeout = 100; SELECT FROM notes")
        locked = waiters.locked_out(environments.load(DEV).postgres, ROLLED_BACK)
    assert f"({DESK}), table notes" in locked.what


def test_who_has_locked_rows_that_ours_refer_to_is_named(clinic: Clinic, rehearsed: Path) -> None:
    """A clinic's row that somebody edits: a foreign key of a new appointment waits for it."""
    book, before = clinic.approved(rehearsed), clinic.state()
    with desk(clinic, "SELECT FROM clinics FOR UPDATE") as other:
        with pytest.raises(Busy) as told:
            book.apply()
        pid = other.info.backend_pid
    what = "rows that those of the run refer to are locked"
    assert told.value.what == f"{what} by pid {pid} ({DESK}): clinics"
    assert told.value.where == "waited 5s for them, as long as lock_timeout allows"
    assert told.value.state == ROLLED_BACK
    assert told.value.next == "end that work or wait for it, then run this step again"
    assert clinic.state() == before
    nothing_left(clinic)


def test_who_waits_for_us_while_we_wait_for_them_is_named(clinic: Clinic, rehearsed: Path) -> None:
    book, before = clinic.approved(rehearsed), clinic.state()
    with desk(clinic, "SELECT FROM clinics FOR UPDATE") as other:
        thread = threading.Thread(
            target=other.execute, args=("SELECT FROM patients LIMIT 1 FOR UPDATE",)
        )

        def meanwhile(done: int, _: int) -> None:
            if done == 5:  # we have our locks
                thread.start()
                until(lambda: clinic.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))
                time.sleep(1.5)  # it looks for a deadlock once, after a second

        with pytest.raises(Busy) as told:
            apply_with(book, progress=meanwhile)
        thread.join(60)
        pid = other.info.backend_pid
    assert told.value.what.endswith(f"are locked by pid {pid} ({DESK}): clinics")
    assert told.value.where == "each waited for the other, and PostgreSQL has ended our transaction"
    assert told.value.state == ROLLED_BACK
    assert clinic.state() == before
    nothing_left(clinic)
