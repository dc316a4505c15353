"""``max_writers_wait`` is kept by the server, while our own process stands still."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nexus_reimport import runbook
from nexus_reimport import settings as environments
from nexus_reimport.errors import ROLLED_BACK, Busy, InDoubt
from nexus_reimport.nexus.connection.postgres import connected, scalar
from nexus_reimport.nexus.writing import time_limit, transaction
from nexus_reimport.record import Verdict
from nexus_reimport.runbook import rollback
from nexus_reimport.settings import Postgres
from nexus_reimport.stages import apply
from support.applying import apply_with, order_of
from support.clinic import Clinic
from support.halting import halted, nothing_left

DEV = "sandbox-dev"
LIMIT = 2.0  # seconds
BOUND = 60.0  # seconds: on a busy machine; for as long as the process stood still, it was before
WRITE = "UPDATE notes SET content = content WHERE id = (SELECT min(id::text)::uuid FROM notes)"


def place() -> Postgres:
    return environments.load(DEV).postgres


def limited(clinic: Clinic, rehearsed: Path) -> runbook.Runbook:
    clinic.edit(DEV, "max_writers_wait = 30", f"max_writers_wait = {LIMIT:g}")
    clinic.approved(rehearsed)
    return runbook.resume(DEV)


def seconds_until_let_in(clinic: Clinic) -> float:
    began = time.monotonic()
    clinic.do(WRITE)
    return time.monotonic() - began


@pytest.mark.parametrize("step", [4, 7, 11, 13])
def test_writers_are_let_in_while_the_run_is_stopped_and_it_knows_when_it_goes_on(
    clinic: Clinic, rehearsed: Path, tmp_path: Path, step: int
) -> None:
    book = limited(clinic, rehearsed)
    before = clinic.state()
    marker = tmp_path / "marker"
    with halted(DEV, book.run.id, step, marker) as process:
        process.send_signal(signal.SIGSTOP)
        assert seconds_until_let_in(clinic) < BOUND
        assert clinic.state() == before
        nothing_left(clinic)
        Path(f"{marker}.go").touch()
        process.send_signal(signal.SIGCONT)
        process.wait()
    last = book.run.events()[-1].line
    assert (
        last["what"] == f"others have waited for us as long as max_writers_wait allows: {LIMIT:g} s"
    )
    assert last["state"] == ROLLED_BACK
    assert book.run.verdict() is Verdict.STOPPED
    assert clinic.state() == before
    clinic.edit(DEV, f"max_writers_wait = {LIMIT:g}", "max_writers_wait = 30")
    assert runbook.resume(DEV).apply().committed


def test_a_run_that_stands_still_just_before_commit_has_not_committed(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = limited(clinic, rehearsed)
    before = clinic.state()
    waited: list[float] = []
    events: list[str] = []

    def stands_still(event: str, **_: object) -> None:
        events.append(event)
        if event == "committing":
            waited.append(seconds_until_let_in(clinic))

    with pytest.raises((Busy, InDoubt)) as told:  # the server's last words may have been lost
        apply.apply(place(), order_of(book), book._check_inside, commit=True, journal=stands_still)
    assert waited[0] < BOUND
    assert ("not committed" in events) is (told.type is Busy)
    assert not book.settle()
    assert clinic.state() == before


def test_an_undo_is_bounded_by_the_server_too(
    clinic: Clinic, rehearsed: Path, tmp_path: Path
) -> None:
    clinic.executed()
    after = clinic.state()
    clinic.edit(DEV, "max_writers_wait = 30", f"max_writers_wait = {LIMIT:g}")
    book = rollback.begin(DEV)
    book.back_up()
    book.preview()
    book.propose()
    book.approve(rehearsed=True)
    marker = tmp_path / "marker"
    with halted(DEV, book.run.id, 3, marker, "undo") as process:
        process.send_signal(signal.SIGSTOP)
        assert seconds_until_let_in(clinic) < BOUND
        Path(f"{marker}.go").touch()
        process.send_signal(signal.SIGCONT)
        process.wait()
    assert book.run.verdict() is Verdict.STOPPED
    assert clinic.state() == after


# ---------------------------------------------------------------- servers before 17


LONG = 4.0  # seconds: a slow machine is through with its statements before


def in_transaction(connection: psycopg.Connection[object], limit: float) -> time_limit.Deadline:
    connection.execute("BEGIN")
    deadline = time_limit.Deadline(place(), connection)
    connection.execute("LOCK TABLE public.notes IN EXCLUSIVE MODE")
    deadline.start(limit)
    return deadline


def test_an_older_server_is_told_in_advance_to_end_the_transaction(clinic: Clinic) -> None:
    with connected(place()) as connection:
        deadline = in_transaction(connection, 1)
        assert seconds_until_let_in(clinic) < BOUND
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT 1")
        deadline.close()
    nothing_left(clinic)


def test_it_ends_that_transaction_alone_and_nothing_once_it_is_closed(clinic: Clinic) -> None:
    with connected(place()) as connection:
        deadline = in_transaction(connection, LONG)
        connection.execute("COMMIT")
        connection.execute("BEGIN")
        time.sleep(LONG + 0.5)
        assert scalar(connection, "SELECT 1") == 1, "another transaction of the same session"
        connection.execute("COMMIT")
        deadline.close()
        closed = in_transaction(connection, LONG)
        closed.close()
        time.sleep(LONG + 0.5)
        assert scalar(connection, "SELECT 1") == 1
        connection.execute("COMMIT")
    nothing_left(clinic)


def test_a_whole_run_with_such_a_deadline_commits_and_leaves_nothing(
    clinic: Clinic, rehearsed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limit, "_TRANSACTION_TIMEOUT", 999999)  # as if it were older
    book = clinic.approved(rehearsed)
    assert book.apply().committed
    nothing_left(clinic)


def test_a_second_session_that_is_slow_to_open_takes_nothing_of_the_time(
    clinic: Clinic, rehearsed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(time_limit.Deadline):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            time.sleep(LONG + 1)

    monkeypatch.setattr(time_limit, "_TRANSACTION_TIMEOUT", 999999)  # as if it were older
    monkeypatch.setattr(transaction, "Deadline", Slow)
    clinic.edit(DEV, "max_writers_wait = 30", f"max_writers_wait = {LONG:g}")
    book = clinic.approved(rehearsed)
    assert book.apply().committed


def test_such_a_deadline_lets_writers_in_and_the_run_says_so(
    clinic: Clinic, rehearsed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limit, "_TRANSACTION_TIMEOUT", 999999)  # as if it were older
    book = limited(clinic, rehearsed)
    before = clinic.state()
    waited: list[float] = []

    def stands_still(done: int, _: int) -> None:
        if done == 5:
            waited.append(seconds_until_let_in(clinic))

    with pytest.raises(Busy, match="as long as max_writers_wait allows"):
        apply_with(book, progress=stands_still)
    assert waited[0] < BOUND
    assert clinic.state() == before
    nothing_left(clinic)
