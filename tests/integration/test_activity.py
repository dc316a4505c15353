"""Who else wrote during the preflight: by application and time, never by query text."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nexus_reimport import runbook, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import RecordError, ReimportError, StopError
from nexus_reimport.nexus import activity
from nexus_reimport.nexus.activity import Activity, TableWrites, Watched, merged
from nexus_reimport.nexus.connection import watch
from nexus_reimport.nexus.connection.postgres import Connection
from nexus_reimport.nexus.connection.watch import Watch
from nexus_reimport.settings import Postgres
from support.clinic import ROLE, Clinic
from support.running import until

DESK = "the front desk"
TEXT = "a word of a patient's note"
OURS = (
    "SELECT {} FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'nexus_reimport'"
)
HOW_MANY = OURS.format("count(*)")


@contextmanager
def desk(clinic: Clinic, name: str = DESK) -> Iterator[psycopg.Connection[Any]]:
    """A connection of another application."""
    with clinic.connect() as connection:
        connection.execute("SELECT set_config('application_name', %s, false)", (name,))
        yield connection


def surveyed(clinic: Clinic) -> runbook.Runbook:
    """A run that has made its survey just now."""
    book = clinic.read_before()
    book.survey_and_backup()
    return book


def rehearsed_after(book: runbook.Runbook) -> runbook.Runbook:
    book.plan()
    book.check_before()
    book.rehearse()
    return book


def postgres() -> Postgres:
    return environments.load("sandbox-dev").postgres


def saved(book: runbook.Runbook) -> str:
    """All that the record holds of others' work."""
    return "".join((book.run.folder / f"{n}.json").read_text() for n in ("activity", "watched"))


def book_an_appointment(connection: psycopg.Connection[Any], rows: int = 1) -> None:
    connection.execute(
        "UPDATE appointments SET notes = %s WHERE id IN"
        " (SELECT id FROM appointments ORDER BY id LIMIT %s)",
        (TEXT, rows),
    )


def test_a_quiet_database_gives_nothing(clinic: Clinic) -> None:
    book = rehearsed_after(surveyed(clinic))
    seen = book.activity()
    assert (seen.written, seen.changed, seen.writers, seen.could_have) == ({}, (), (), ())
    assert seen.counted
    assert not seen.interrupted
    assert "Nobody wrote since the survey: the plan is still valid." in repr(show.activity(seen))
    assert book.run.load(Activity) == seen


def test_a_transaction_held_open_during_the_survey_is_listed_with_its_tables_and_times(
    clinic: Clinic,
) -> None:
    with desk(clinic) as other:
        other.execute("BEGIN")
        book_an_appointment(other)
        other.execute("UPDATE patients SET updated_at = now() WHERE false")
        book = surveyed(clinic)
        other.execute("ROLLBACK")
        seen = book.activity()
        (writer,) = seen.writers
        assert (writer.application, writer.pid) == (DESK, other.info.backend_pid)
        assert writer.tables == ("appointments", "patients")
        assert seen.since <= writer.first_seen <= writer.last_seen <= seen.until
        (session,) = seen.could_have
        assert (session.application, session.pid) == (DESK, writer.pid)
        assert session.connected_since is not None
        assert session.connected_since < seen.since
        assert session.last_active is not None
        assert session.last_active > writer.first_seen
    page = repr(show.activity(seen))
    assert DESK in page
    assert "the plan is still valid" in page, "it was rolled back"


def test_what_was_written_briefly_between_two_steps_shows_in_the_numbers(clinic: Clinic) -> None:
    book = surveyed(clinic)
    with desk(clinic) as other:
        book_an_appointment(other, 3)
    until(lambda: book.activity().written)
    seen = book.activity()
    assert seen.written == {"appointments": TableWrites(0, 3, 0)}
    assert seen.changed == ("appointments",)
    assert seen.writers == (), "nobody was looking then"
    page = repr(show.activity(seen))
    assert "3 rows of appointments were written since the survey: the plan is void" in page
    assert "quieter hour" in page


def test_neither_query_text_nor_a_value_comes_into_the_record(clinic: Clinic) -> None:
    with desk(clinic) as other:
        other.execute("BEGIN")
        book_an_appointment(other)
        book = surveyed(clinic)
        other.execute("COMMIT")
        book.activity()
    text = saved(book)
    assert DESK in text
    for withheld in (TEXT, "update appointments", "limit", "127.0.0.1"):
        assert withheld.casefold() not in text.casefold()


def test_a_rolled_back_write_is_counted_and_the_plan_stands(clinic: Clinic) -> None:
    book = surveyed(clinic)
    with desk(clinic) as other:
        other.execute("BEGIN")
        other.execute("DELETE FROM reminders")
        other.execute("ROLLBACK")
    until(lambda: book.activity().written)
    seen = book.activity()
    assert seen.written["reminders"].deleted > 0
    assert seen.changed == ()
    assert "is unchanged (the writes were rolled back" in repr(show.activity(seen))


def test_our_own_dry_runs_are_not_taken_for_somebody_elses_work(no_createdb: Clinic) -> None:
    clinic = no_createdb  # no copy can be made: the dry run is in the real database
    book = surveyed(clinic)
    with desk(clinic) as other:
        book_an_appointment(other, 2)
    until(lambda: book.activity().written)  # the server counts when the session has ended
    book.survey_and_backup()
    rehearsed_after(book)
    book.rehearse()
    seen = book.activity()
    assert seen.written == {}
    assert seen.changed == ()
    with desk(clinic) as other:
        book_an_appointment(other, 3)
    until(lambda: book.activity().written)
    assert book.activity().written == {"appointments": TableWrites(0, 3, 0)}
    own = book.run.load(Watched).own
    assert own["patients"].updated > 0, "the dry run was counted by the server, and set aside"


def test_an_edit_that_the_copy_does_not_hold_is_seen_all_the_same(clinic: Clinic) -> None:
    book = surveyed(clinic)
    book.plan()
    book.check_before()
    with desk(clinic) as other:
        other.execute(
            "UPDATE notes SET content = content || '.' WHERE id = (SELECT min(id::text)"
            "::uuid FROM notes)"
        )
    book.rehearse()
    until(lambda: book.activity().written)
    assert book.activity().written == {"notes": TableWrites(0, 1, 0)}
    assert book.activity().changed == ("notes",)


def test_counters_that_were_reset_are_not_believed(clinic: Clinic) -> None:
    with desk(clinic) as other:
        book_an_appointment(other, 5)
    book = surveyed(clinic)
    with desk(clinic) as other:
        other.execute("DELETE FROM notes WHERE id = (SELECT min(id::text)::uuid FROM notes)")
    with clinic.superuser() as superuser:
        superuser.execute("SELECT pg_stat_reset()")
    seen = book.activity()
    assert not seen.counted
    assert seen.changed == ("notes",)
    page = repr(show.activity(seen))
    assert "notes was changed since the survey: the plan is void" in page
    assert "every table was compared instead" in page


def test_a_session_that_hides_its_times_is_listed_as_one_that_could_have(clinic: Clinic) -> None:
    book = surveyed(clinic)
    with psycopg.connect(
        clinic.server.dsn(clinic.databases["dev"]),
        application_name="of another role",
        autocommit=True,
    ) as admin:
        admin.execute(f"REVOKE pg_read_all_stats FROM {ROLE}")
        try:
            seen = book.activity()
        finally:
            admin.execute(f"GRANT pg_read_all_stats TO {ROLE}")
    (hidden,) = seen.could_have
    assert (hidden.application, hidden.last_active) == ("of another role", None)
    assert "not shown to our role" in repr(show.activity(seen))


def test_an_executed_run_is_not_asked_any_more(clinic: Clinic, rehearsed: Path) -> None:
    book = clinic.approved(rehearsed)
    book.apply()
    with pytest.raises(StopError, match="has gone as far as COMMIT"):
        book.activity()


def test_a_new_survey_or_dry_run_voids_what_was_seen_before(clinic: Clinic) -> None:
    book = surveyed(clinic)
    with pytest.raises(ReimportError):
        book.rehearse()
    book.activity()
    book.survey_and_backup()
    with pytest.raises(RecordError, match="no activity yet"):
        book.run.load(Activity)
    assert "void" in repr(show.summary(book.run))
    book.run.seal()
    assert book.run.problems() == [], "nobody is accused of having taken it away"


# ---------------------------------------------------------------- the watch itself


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "writers"]


@contextmanager
def stopped_server(clinic: Clinic) -> Iterator[Callable[[], None]]:
    """What stops the server's process of our watch; it goes on at the end, whatever happens."""
    pids: list[int] = []

    def stop() -> None:
        pids.append(clinic.value(OURS.format("pid")))
        os.kill(pids[-1], signal.SIGSTOP)

    try:
        yield stop
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_watch_leaves_no_thread_and_no_connection(clinic: Clinic) -> None:
    with activity.Writers(postgres(), "public", ("patients",)):
        until(lambda: clinic.value(HOW_MANY) == 1)
        assert threads()
    assert threads() == []
    until(lambda: clinic.value(HOW_MANY) == 0)
    with pytest.raises(ZeroDivisionError), activity.Writers(postgres(), "public", ("patients",)):
        _ = 1 / 0
    assert threads() == []
    until(lambda: clinic.value(HOW_MANY) == 0)


def test_only_locks_under_which_rows_change_are_looked_at(clinic: Clinic) -> None:
    with (
        activity.Writers(postgres(), "public", ("patients", "notes")) as watch,
        desk(clinic, "a reader") as reader,
        desk(clinic, "an importer") as importer,
        desk(clinic, "of another table") as elsewhere,
    ):
        reader.execute("BEGIN; SELECT 1 FROM patients FOR SHARE")
        elsewhere.execute("BEGIN; LOCK TABLE reminders IN ROW EXCLUSIVE MODE")
        importer.execute("BEGIN; LOCK TABLE notes IN EXCLUSIVE MODE")
        until(lambda: any(w.last_seen > w.first_seen for w in watch.writers))
    (seen,) = watch.writers
    assert (seen.application, seen.tables) == ("an importer", ("notes",))
    assert seen.last_seen > seen.first_seen


def test_a_watch_that_loses_its_connection_looks_on_and_says_so(clinic: Clinic) -> None:
    with activity.Writers(postgres(), "public", ("patients",)) as watch, desk(clinic) as other:
        until(lambda: clinic.value(HOW_MANY) == 1)
        clinic.do(OURS.format("pg_terminate_backend(pid)"), role=ROLE)
        other.execute("BEGIN; LOCK TABLE patients IN ROW EXCLUSIVE MODE")
        until(lambda: watch.writers)
    assert watch.interrupted
    assert threads() == []


def test_a_server_that_is_not_there_does_not_disturb_the_block(clinic: Clinic) -> None:
    nowhere = postgres().model_copy(update={"port": 1})
    worked = False
    with activity.Writers(nowhere, "public", ("patients",)) as watch:
        until(lambda: watch.interrupted)
        worked = True
    assert worked
    assert watch.writers == ()
    assert threads() == []


def test_a_server_that_does_not_answer_does_not_keep_the_block_from_ending(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 1.0)
    with stopped_server(clinic) as stop:
        with activity.Writers(postgres(), "public", ("patients",)) as writers:
            until(lambda: writers._connection)
            stop()
            time.sleep(3 * activity.PAUSE)
            began = time.monotonic()
        assert time.monotonic() - began < 60, "it does not wait for the server"
        assert threads() == []
    until(lambda: clinic.value(HOW_MANY) == 0)


def test_a_server_that_does_not_answer_while_a_watch_connects_does_not_keep_the_block(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of such a connection we have nothing that could be closed."""
    monkeypatch.setattr(watch, "PATIENCE", 1.0)
    opened = Watch._opened

    def stopped_first(self: Watch, connection: Connection) -> None:
        stop()  # as if the server had stopped while we were still connecting
        connection.execute("SELECT 1")
        opened(self, connection)

    monkeypatch.setattr(Watch, "_opened", stopped_first)
    with stopped_server(clinic) as stop:
        with activity.Writers(postgres(), "public", ("patients",)) as writers:
            until(lambda: clinic.value(HOW_MANY) == 1)
            time.sleep(3 * activity.PAUSE)
            began = time.monotonic()
        assert time.monotonic() - began < 60, "it does not wait for the server"
        assert writers.interrupted
    until(lambda: clinic.value(HOW_MANY) == 0)
    until(lambda: not threads())


def test_the_end_of_a_watch_does_not_wait_for_a_socket_that_was_opened_meanwhile(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is closed under a thread's wait gives its number to the next socket."""
    monkeypatch.setattr(watch, "PATIENCE", 1.0)
    over, (silent, other) = threading.Event(), socket.socketpair()

    def takes(number: int) -> None:
        while not over.wait(0.001):
            try:
                os.fstat(number)
            except OSError:
                os.dup2(silent.fileno(), number)
                return

    with silent, other:
        with activity.Writers(postgres(), "public", ("patients",)) as watching:
            until(lambda: watching._connection)
            pid = clinic.value(OURS.format("pid"))
            os.kill(pid, signal.SIGSTOP)
            time.sleep(3 * activity.PAUSE)
            number = watching._connection.fileno()
            thread = threading.Thread(target=takes, args=(number,))
            thread.start()
        os.kill(pid, signal.SIGCONT)
        over.set()
        thread.join()
    assert threads() == []


def test_a_session_seen_twice_is_one_line() -> None:
    def at(second: int) -> Any:
        return datetime(2026, 3, 1, 2, 0, second)

    def seen(first: int, last: int, *tables: str) -> activity.Writer:
        return activity.Writer(DESK, 7, at(first), at(last), tables)

    assert merged([seen(5, 6, "notes")], [seen(1, 2, "patients", "notes")]) == (
        seen(1, 6, "notes", "patients"),
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"written": {"notes": TableWrites(1, 0, 0)}, "changed": ("notes",)},
            "1 row of notes was written since the survey: the plan is void",
        ),
        ({"interrupted": True}, "it may have missed some writers"),
        ({"could_have": (activity.Session("", 9, None, None),)}, "(no name)"),
    ],
)
def test_the_page_says_plainly_what_it_means(change: dict[str, Any], said: str) -> None:
    moment = datetime(2026, 3, 1, 2, 0, 0)
    quiet: dict[str, Any] = {
        "since": moment,
        "until": moment,
        "tables": 8,
        "counted": True,
        "written": {},
        "changed": (),
        "writers": (),
        "could_have": (),
        "interrupted": False,
    }
    assert said in repr(show.activity(Activity(**{**quiet, **change})))
