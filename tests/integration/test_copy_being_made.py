"""A copy whose making was cut short: CREATE DATABASE goes on in the server, and must leave none."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from nexus_reimport import settings as environments
from nexus_reimport.errors import TargetError
from nexus_reimport.nexus.connection import scratch
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.runbook import opening
from nexus_reimport.settings import Settings
from support.clinic import Clinic, copies
from support.running import until

MAKING = "SELECT pid FROM pg_stat_activity WHERE query ~ '^CREATE DATABASE' AND state = 'active'"


@contextmanager
def slow_server(clinic: Clinic) -> Iterator[None]:
    """While somebody comments on template0, CREATE DATABASE waits for the end of that."""
    with psycopg.connect(clinic.server.dsn()) as holder:
        holder.execute("COMMENT ON DATABASE template0 IS 'as it was'")
        yield
        holder.rollback()


@pytest.fixture
def known(clinic: Clinic) -> Settings:
    """The settings of a clinic that has no copy."""
    assert copies(clinic.server) == []
    return environments.load("sandbox-dev")


class Making(threading.Thread):
    """Makes a copy, as a run does, and is cut off from the server when it is told to be."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._settings, self._connections = settings, list[psycopg.Connection[object]]()
        self.ended_with: BaseException | None = None
        create = scratch.create

        def remembered(connection: psycopg.Connection[object], *others: object) -> None:
            self._connections.append(connection)
            create(connection, *others)

        monkeypatch.setattr(scratch, "create", remembered)

    def run(self) -> None:
        place = self._settings.rehearsal_server
        try:
            with connected(place) as connection:
                like = scratch.shape(connection)
            with scratch.created(place, like, self._settings.scratch_register):
                pass
        except BaseException as error:
            self.ended_with = error

    def cut(self) -> None:
        """As a network does that fails: the server still has the statement, and goes on."""
        (connection,) = self._connections
        with socket.socket(fileno=os.dup(connection.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)


def being_made(clinic: Clinic) -> int:
    """The server's process that makes a copy."""
    with psycopg.connect(clinic.server.dsn(), autocommit=True) as connection:
        until(lambda: bool(connection.execute(MAKING).fetchall()))
        ((pid,),) = connection.execute(MAKING).fetchall()
    return int(pid)


def none_is_left(clinic: Clinic, settings: Settings) -> bool:
    """Whether there is no copy, and there will be none: nothing works for one any more."""
    register = settings.scratch_register
    with psycopg.connect(clinic.server.dsn(), autocommit=True) as connection:
        until(lambda: not connection.execute(MAKING).fetchall() and not [*register.glob("*")])
    return not copies(clinic.server)


def test_a_run_that_is_cut_off_while_its_copy_is_made_leaves_none(
    clinic: Clinic, known: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    making = Making(known, monkeypatch)
    with slow_server(clinic):
        making.start()
        being_made(clinic)
        making.cut()
        making.join(60)
        assert isinstance(making.ended_with, TargetError)
        assert making.ended_with.what == "the connection to PostgreSQL was lost"
    assert none_is_left(clinic, known)


def noted(settings: Settings) -> str:
    """What a run that was killed, and its watch, have left: a note of a copy; its name."""
    token = "0123456789abcdef"
    name, place = scratch.PREFIX + token, settings.rehearsal_server
    note = {"host": place.host, "port": place.port, "name": name, "token": token, "at": 0.0}
    settings.scratch_register.mkdir(parents=True)
    (settings.scratch_register / f"{name}.json").write_text(json.dumps(note))
    return name


@contextmanager
def abandoned(clinic: Clinic, settings: Settings, name: str) -> Iterator[int]:
    """The server makes a copy for a run that is not there any more; gives the server's process."""
    place = settings.rehearsal_server

    def make() -> None:
        with pytest.raises(TargetError), connected(place) as connection:
            scratch.create(connection, name, scratch.shape(connection), "ours")

    with slow_server(clinic):
        thread = threading.Thread(target=make)
        thread.start()
        yield being_made(clinic)
    thread.join(60)
    assert not thread.is_alive()


def test_the_next_command_leaves_no_copy_that_is_still_being_made(
    clinic: Clinic, known: Settings
) -> None:
    with abandoned(clinic, known, noted(known)):
        scratch.sweep(known.rehearsal_server, known.scratch_register)
    assert none_is_left(clinic, known)


def test_what_a_restore_has_left_is_dropped_where_rehearsals_have_a_server_of_their_own(
    clinic: Clinic, known: Settings
) -> None:
    """A restore makes its copy beside the database; only the other server was asked for copies."""
    name = noted(known)
    with connected(known.postgres) as connection:
        scratch.create(connection, name, scratch.shape(connection), f"{scratch._MARK}{name[-16:]}")
    away = known.postgres.model_copy(update={"port": 1})
    rehearsal = known.rehearsal.model_copy(update={"server": away})
    settings = known.model_copy(update={"rehearsal": rehearsal})
    try:
        assert opening.clear_scratch(settings) == (name,)
        assert none_is_left(clinic, known)
    finally:
        clinic.server.drop_database(name)


def test_while_the_server_may_still_make_a_copy_its_note_stays(
    clinic: Clinic, known: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "_LEAVING", 0.5)
    name = noted(known)
    with abandoned(clinic, known, name) as pid:
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(TargetError, match="may still be made") as told:
                scratch.sweep(known.rehearsal_server, known.scratch_register)
            assert time.monotonic() - began < 60
            assert name in told.value.where
            assert str(pid) in told.value.where
        finally:
            os.kill(pid, signal.SIGCONT)
    assert [*known.scratch_register.glob("*")], "nothing else tells of it"
    scratch.sweep(known.rehearsal_server, known.scratch_register)
    assert none_is_left(clinic, known)


def test_a_copy_with_which_somebody_is_at_work_is_not_swept(
    clinic: Clinic, known: Settings
) -> None:
    """A run that was begun beside a restore of hours dropped the copy under it."""
    place = known.rehearsal_server
    with connected(place) as connection:
        like = scratch.shape(connection)
    with scratch.created(place, like, known.scratch_register) as copy:
        assert scratch.sweep(place, known.scratch_register) == ()
        assert copies(clinic.server) == [copy.name]
    assert none_is_left(clinic, known)
