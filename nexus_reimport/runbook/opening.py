"""Opening a run: check the database and the rights, clear what a killed run left, make a folder.

Every notebook, command and page does this before its first step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, datetime
from functools import cache

import psycopg

from nexus_reimport import PACKAGE, application, checks, disks, progress, record
from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport.checks import (  # noqa: F401 - importing them declares their checks
    after,
    before,
    inside,
    rehearsed,
    rollback,
)
from nexus_reimport.errors import (
    NOTHING_WRITTEN,
    ApplicationError,
    Denied,
    ReimportError,
    SettingsError,
    StopError,
    StorageError,
    TargetError,
    repair,
)
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import Scope
from nexus_reimport.nexus import deployment, rights
from nexus_reimport.nexus.connection import refusal, scratch, standbys
from nexus_reimport.nexus.connection.postgres import Connection, connected
from nexus_reimport.nexus.rights import Right, Task
from nexus_reimport.nexus.structure import catalog as catalogs
from nexus_reimport.nexus.structure import fit
from nexus_reimport.record import Run, Verdict, anchor, lab_pages, statements
from nexus_reimport.runbook import lost_records, maintenance
from nexus_reimport.settings import EnvironmentKind, Settings
from nexus_reimport.stages import approval, census

_IMPORTING = (Task.RUN, Task.RELINK)
_TRIES = 3
Bar = Callable[[str], progress.Listener]


def no_bar(_: str) -> progress.Listener:
    """No progress is shown."""
    return progress.nobody


def clear_scratch(settings: Settings) -> tuple[str, ...]:
    """Drop the copies that a killed run, or restore, left, if any; gives their names.

    If a server cannot be reached, they stay in the register for the next command.
    """
    dropped: tuple[str, ...] = ()
    for server in settings.copies_servers:
        with suppress(TargetError):
            dropped += scratch.sweep(server, settings.scratch_register)
    return dropped


def require_own_database(settings: Settings, state: str = NOTHING_WRITTEN) -> None:
    """Stop unless the database belongs to this environment.

    Called before FileMaker is read and before anything is written, and first of all after a COMMIT,
    by which a server can be kept busy: one that does not answer is asked again.

    Raises:
        StopError: it is not the database that this environment adopted. ``state`` is left.
        TargetError: it could not be asked. ``state`` is left.
    """
    for left in reversed(range(_TRIES)):
        try:
            with connected(settings.postgres, state) as connection:
                deployment.require(connection, settings.name, state)
                return
        except TargetError as error:
            if not left or error.what != refusal.NO_ANSWER:
                raise


def require_ready(
    settings: Settings,
    mapping: FieldMapping,
    task: Task,
    state: str = NOTHING_WRITTEN,
    *,
    fitting: bool = False,
) -> None:
    """Stop unless the database is this environment's and the role has every right for ``task``.

    Before anything is imported also unless the system's limits let a run come to its end.

    ``fitting``: also unless it has what the mapping names. Before anything is imported also unless
    no other environment's file names the same bucket or API.

    Raises:
        SettingsError: another one does, or a limit is too low. ``state`` is left.
        StopError: it does not, or rights are missing: all of them at once, each with its GRANT.
            ``state`` is left.
        MappingError: what the mapping names is not there: see ``require_fit``.
        TargetError: the database, or the server for rehearsals, cannot be reached; or no COMMIT
            would end.
    """
    if task in _IMPORTING:  # no limit, and no mistake in a file, may prevent a way back
        _require_limits(state)
    with connected(settings.postgres, state) as connection:
        try:
            deployment.require(connection, settings.name, state)
        except psycopg.errors.InsufficientPrivilege:  # the marker cannot be read: name the rights
            _require_rights(settings, mapping, task, connection, state)
            raise
        if task in _IMPORTING:
            standbys.require(connection, state)
            environments.shared.refuse(settings)
        _require_rights(settings, mapping, task, connection, state)
        if fitting:
            require_fit(connection, mapping)


def _require_limits(state: str) -> None:
    if low := disks.too_low():
        raise SettingsError(
            f"too little for a run: {low.what}", state=state, next=f"{low.fix}, then start again"
        )


@cache
def package_loaded() -> str:
    """The digest of the package as this process runs it: first asked for when a run is opened."""
    return approval.code_digest()


def require_package_as_loaded() -> None:
    """Stop where the package's files are no longer those that this process runs.

    An approval is for the files: what was prepared with those of before would pass as theirs.

    Raises:
        StopError: they were changed. Nothing was written.
    """
    if approval.code_digest() != package_loaded():
        raise StopError(
            "the package, or a library of it, was changed since this page loaded it",
            where=str(PACKAGE),
            next="in JupyterLab restart the kernel, and run this page from the top; else start the"
            " command again",
        )


def require_as_read(settings: Settings, mapping: FieldMapping) -> None:
    """Stop where a page in JupyterLab would use what a file said before somebody changed it.

    A kernel keeps what its first cells have read: a password that was corrected would be tried
    once more as it was, and a plan made by the decisions of before, or by the package of before.

    Raises:
        SettingsError, StopError: names what was changed. Nothing was written.
    """
    if not lab_pages.is_stepped_through():
        return
    require_package_as_loaded()
    now = environments.load(settings.name)
    changed = [one for one in Settings.model_fields if getattr(now, one) != getattr(settings, one)]
    if mappings.load(now.mapping, environments.folder()).digest != mapping.digest:
        changed.append("the mapping")
    if changed:
        raise SettingsError(
            f"changed since this page read it: {', '.join(changed)}",
            where=f"{settings.name}.toml, or a file that it names",
            next="run this page from the top, which reads it again",
        )


def require_verifiable(settings: Settings, state: str = NOTHING_WRITTEN) -> None:
    """Stop unless what verification reads besides the database answers: S3, and Nexus's own API.

    Called before an execution: what is committed and cannot be verified keeps people out of Nexus.

    Raises:
        StorageError, ApplicationError: it does not. ``state`` is left.
    """
    try:
        census.ask(settings.s3)
        if settings.application is not None:
            with application.opened(settings.application):
                pass
    except (StorageError, ApplicationError) as error:
        error.state = state
        todo = repair(error)
        error.next = f"{todo}; verification needs it, so nothing is executed until it answers"
        raise


def require_fit(connection: Connection, mapping: FieldMapping) -> None:
    """Stop unless the database has what the mapping names: FileMaker would be read for nothing.

    Raises:
        MappingError: all problems at once, each with its line. Nothing was written.
    """
    fit.check(connection, mapping, catalogs.read(connection, mapping.schema_name))


def _require_rights(
    settings: Settings, mapping: FieldMapping, task: Task, connection: Connection, state: str
) -> None:
    lacking = missing_rights(settings, mapping, task, connection)
    if lacking:
        raise rights.refusal(lacking, deployment.place(connection), state)


def missing_rights(
    settings: Settings, mapping: FieldMapping, task: Task, connection: Connection
) -> tuple[Right, ...]:
    """The rights that ``task`` needs and the role lacks, also on the server for rehearsals."""
    return lacking_of(settings, every_right(settings, mapping, task, connection), task)


def every_right(
    settings: Settings, mapping: FieldMapping, task: Task, connection: Connection
) -> tuple[Right, ...]:
    """Every right, held or not; for a ``task`` that rehearses also on the server for that."""
    with ExitStack() as stack:
        server = settings.rehearsal.server
        rehearses = server is not None and task in (Task.RUN, Task.RELINK)
        other = stack.enter_context(connected(server)) if server and rehearses else None
        return rights.read(connection, mapping, other)


def lacking_of(settings: Settings, every: tuple[Right, ...], task: Task) -> tuple[Right, ...]:
    """Those of ``every`` that ``task`` needs and the role lacks."""
    needed = (rights.RULES["rehearse"],) if _must_rehearse_on_a_copy(settings) else ()
    return rights.missing(every, task, needed)


def _must_rehearse_on_a_copy(settings: Settings) -> bool:
    """Whether a run without a copy would stop later: then FileMaker would be read for nothing."""
    name = rehearsed.the_backup_can_be_proven.__name__
    now = today(settings)
    waived = any(w.check == name and w.until >= now for w in settings.waivers)
    return settings.kind is EnvironmentKind.PROD and not waived


@contextmanager
def naming_rights(settings: Settings, mapping: FieldMapping, task: Task) -> Iterator[None]:
    """If PostgreSQL refuses for lack of a right, the error names every right that is missing."""
    try:
        yield
    except Denied as error:
        lacking: tuple[Right, ...] = ()
        with suppress(ReimportError), connected(settings.postgres) as connection:
            lacking = missing_rights(settings, mapping, task, connection)
        if not lacking:
            raise
        refusal = rights.refusal(lacking, error.where, error.state, error.what)
        raise Denied(
            refusal.what, where=refusal.where, state=refusal.state, next=refusal.next
        ) from None


def create(
    settings: Settings, kind: str = Scope.REIMPORT, *, undoes: str = "", name: str = ""
) -> Run:
    """A new run. What a killed run left is put right first: window taken down, seal written.

    Raises:
        SettingsError: a waiver of the environment's file can never apply, or its reason, or
            ``name``, identifies a patient. No run was made.
        StopError: the records of the runs before are not here. No run was made.
    """
    if kind != "rollback":  # a mistake in the file must not prevent a rollback
        checks.refuse_wrong_waivers(settings.waivers)
    repeated = settings.waivers if kind != "rollback" else ()
    statements.refuse_unfit(settings, name, "", waivers=repeated)
    lost_records.refuse(settings)
    anchor.note_committed(settings)
    run = record.create(settings, kind, undoes=undoes, name=name)
    maintenance.leave(settings, run)
    with suppress(TargetError, StopError):  # the first step that needs the database reports it
        anchor.write_late(settings, run)
    return run


def last_complete(settings: Settings, kinds: set[Scope]) -> Run | None:
    """The last run of one of ``kinds`` that is COMPLETE and sealed, with an unchanged record."""
    complete = (
        run
        for run in reversed(record.every(settings))
        if run.kind in kinds
        and run.is_sealed
        and run.verdict() is Verdict.COMPLETE
        and not run.problems()
    )
    return next(complete, None)


def today(settings: Settings) -> date:
    """The date in the clinic's time zone: waivers end by it."""
    return datetime.now(settings.zone).date()
