"""A connection that is lost in the middle of a step: the step says so, and which state is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from nexus_reimport import runbook
from nexus_reimport.errors import ROLLED_BACK, ReimportError, TargetError
from nexus_reimport.record import Verdict
from nexus_reimport.runbook import rollback
from support.clinic import Clinic

DEV = "sandbox-dev"
WAITING = (
    "SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE a.application_name = 'nexus_reimport' AND NOT l.granted"
    " AND l.locktype = 'relation' AND l.relation = 'public.patients'::regclass"
)


@contextmanager
def cut(clinic: Clinic) -> Iterator[None]:
    """The first session of ours that wants the patients is ended, as if the network were.

    It is kept waiting for them until then, so that no step is over before it is met.
    """
    over = threading.Event()
    dsn = clinic.server.dsn(clinic.databases["dev"])
    holder = psycopg.connect(dsn)
    holder.execute("LOCK TABLE patients IN ACCESS EXCLUSIVE MODE")

    def strike() -> None:
        with holder, psycopg.connect(dsn, autocommit=True) as other:
            while not over.is_set() and not other.execute(WAITING).fetchall():
                time.sleep(0.002)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)


def lost(clinic: Clinic, step: Callable[[], object]) -> ReimportError:
    with cut(clinic), pytest.raises(TargetError) as told:
        step()
    text = str(told.value)
    assert "57P01" in text or "connection to PostgreSQL was lost" in text
    assert told.value.next
    return told.value


def test_in_the_survey_nothing_was_written(clinic: Clinic) -> None:
    book = runbook.begin(DEV)
    book.snapshot()
    book.census()
    before = clinic.state()
    assert lost(clinic, book.survey_and_backup).state == "nothing was written"
    assert book.run.verdict() is Verdict.FAILED
    assert clinic.state() == before
    seen, _ = book.survey_and_backup()
    assert seen.tables["patients"].rows == clinic.value("SELECT count(*) FROM patients")


def test_in_the_transaction_it_is_rolled_back(clinic: Clinic, rehearsed: Path) -> None:
    book = clinic.approved(rehearsed)
    before = clinic.state()
    assert lost(clinic, book.apply).state == "rolled back, the database is as it was"
    assert book.run.verdict() is Verdict.FAILED
    assert clinic.state() == before
    assert book.apply().committed


def test_in_the_verification_it_is_committed_and_finish_goes_on(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    book.apply()
    error = lost(clinic, book.verify)
    assert error.state == "committed; nothing was written by this step"
    assert book.run.verdict() is Verdict.COMMITTED_UNVERIFIED
    assert book.verify().passed


def test_in_a_rollback_each_step_says_its_own_state(clinic: Clinic) -> None:
    done = clinic.executed()
    after = clinic.state()
    book = rollback.begin(DEV)
    assert lost(clinic, book.back_up).state == "nothing was written"
    book.back_up()
    assert lost(clinic, book.preview).state == "nothing was written"
    book.preview()
    book.propose()
    book.approve(rehearsed=True)
    assert lost(clinic, book.undo).state == ROLLED_BACK
    assert clinic.state() == after
    book.undo()
    assert lost(clinic, book.verify).state.startswith("the run was undone and this is committed")
    assert book.run.verdict() is Verdict.COMMITTED_UNVERIFIED
    assert book.verify().passed
    assert done.run.is_sealed
