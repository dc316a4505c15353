"""Opening a run: whose database it is, what a killed run has left, a folder of its own.

What every face does before its first step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, datetime

import psycopg

from nexus_reimport import checks, record
from nexus_reimport.checks import (  # noqa: F401 - each declares its checks, whose names are known
    after,
    before,
    inside,
    rehearsed,
    rollback,
)
from nexus_reimport.errors import NOTHING_WRITTEN, Denied, ReimportError, StopError, TargetError
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import Scope
from nexus_reimport.nexus import deployment, rights, scratch
from nexus_reimport.nexus.postgres import Connection, connected
from nexus_reimport.nexus.rights import Right, Task
from nexus_reimport.record import Run, Verdict, anchor
from nexus_reimport.runbook import maintenance
from nexus_reimport.settings import EnvironmentKind, Settings

Progress = Callable[[int, int], None]
Bar = Callable[[str], Progress]


def no_bar(_: str) -> Progress:
    """No progress is shown."""
    return lambda done, total: None


def clear_scratch(settings: Settings) -> tuple[str, ...]:
    """Drop the copies that a killed run has left, if any; their names.

    A server that cannot be asked keeps them, written down for the next command.
    """
    try:
        return scratch.sweep(settings.rehearsal_server, settings.scratch_register)
    except TargetError:
        return ()


def require_own_database(settings: Settings, state: str = NOTHING_WRITTEN) -> None:
    """Nothing is read from FileMaker and nothing written before the database is known.

    Raises:
        StopError: it is not the one that this environment adopted.
    """
    with connected(settings.postgres, state) as connection:
        deployment.require(connection, settings.name, state)


def require_ready(
    settings: Settings, mapping: FieldMapping, task: Task, state: str = NOTHING_WRITTEN
) -> None:
    """That the database is this environment's own, and that every right for ``task`` is there.

    Raises:
        StopError: it is not, or rights are missing: all of them at once, each with its GRANT.
            ``state`` is left.
        TargetError: the database, or the server for rehearsals, cannot be reached.
    """
    with connected(settings.postgres, state) as connection:
        try:
            deployment.require(connection, settings.name, state)
        except psycopg.errors.InsufficientPrivilege:  # whose it is may not be read: told below
            _require_rights(settings, mapping, task, connection, state)
            raise
        _require_rights(settings, mapping, task, connection, state)


def _require_rights(
    settings: Settings, mapping: FieldMapping, task: Task, connection: Connection, state: str
) -> None:
    lacking = missing_rights(settings, mapping, task, connection)
    if lacking:
        raise rights.refusal(lacking, deployment.place(connection), state)


def missing_rights(
    settings: Settings, mapping: FieldMapping, task: Task, connection: Connection
) -> tuple[Right, ...]:
    """The rights that ``task`` needs and the role has not, on the server for rehearsals too."""
    with ExitStack() as stack:
        server = settings.rehearsal.server
        rehearses = server is not None and task in (Task.RUN, Task.RELINK)
        there = stack.enter_context(connected(server)) if server and rehearses else None
        found = rights.read(connection, mapping, there)
    needed = (rights.RULES["rehearse"],) if _must_rehearse_on_a_copy(settings) else ()
    return rights.missing(found, task, needed)


def _must_rehearse_on_a_copy(settings: Settings) -> bool:
    """Whether a run without a copy would stop later, after FileMaker has been read."""
    name = rehearsed.the_backup_can_be_proven.__name__
    now = today(settings)
    waived = any(w.check == name and w.until >= now for w in settings.waivers)
    return settings.kind is EnvironmentKind.PROD and not waived


@contextmanager
def naming_rights(settings: Settings, mapping: FieldMapping, task: Task) -> Iterator[None]:
    """What PostgreSQL refuses for want of a right is told with every right that is missing."""
    try:
        yield
    except Denied as error:
        lacking: tuple[Right, ...] = ()
        with suppress(ReimportError), connected(settings.postgres) as connection:
            lacking = missing_rights(settings, mapping, task, connection)
        if not lacking:
            raise
        told = rights.refusal(lacking, error.where, error.state, error.what)
        raise Denied(told.what, where=told.where, state=told.state, next=told.next) from None


def create(settings: Settings, kind: str = Scope.REIMPORT, *, undoes: str = "") -> Run:
    """A new run; what a killed one has left is put right first.

    Its maintenance window is taken down, and the database gets its seal.

    Raises:
        SettingsError: a waiver of the environment's file can never be of use.
    """
    if kind != "rollback":  # the way back is never barred by a mistake in the file
        checks.refuse_wrong_waivers(settings.waivers)
    made = record.create(settings, kind, undoes=undoes)
    maintenance.leave(settings, made)
    with suppress(TargetError, StopError):  # said by the first step that needs the database
        anchor.write_late(settings, made)
    return made


def last_complete(settings: Settings, kinds: set[Scope]) -> Run | None:
    """The last run of one of ``kinds`` that is COMPLETE and sealed, its record as sealed."""
    found = (
        run
        for run in reversed(record.every(settings))
        if run.kind in kinds
        and run.is_sealed
        and run.verdict() is Verdict.COMPLETE
        and not run.problems()
    )
    return next(found, None)


def today(settings: Settings) -> date:
    """The clinic's date: by it waivers end."""
    return datetime.now(settings.zone).date()
