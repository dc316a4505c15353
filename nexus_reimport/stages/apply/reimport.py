"""Does exactly what the plan says, in one transaction.

Order: before any lock: session fixed; row files into temporary tables; copies into the undo
schema, and (key, hash) of every row as it will be; which rows differ. Then EXCLUSIVE locks; the
state before compared with the plan's; DELETE children first, UPDATE, INSERT parents first, each
only of rows that differ, or of all, as was approved; links fixed; constraints checked; the
fingerprints, which must be those that were foretold; the checks inside; the state after compared
with the rehearsed one; the run's row; COMMIT.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from nexus_reimport import checks
from nexus_reimport.checks.inside import Inside
from nexus_reimport.errors import ROLLED_BACK, StopError
from nexus_reimport.events import Journal, null_journal
from nexus_reimport.model import Applied, Report, after_commit, run_row
from nexus_reimport.nexus import deployment, registry
from nexus_reimport.nexus.connection import standbys
from nexus_reimport.nexus.connection.driver_errors import constraint_of
from nexus_reimport.nexus.connection.postgres import Connection, connected
from nexus_reimport.nexus.registry import UndoPart, UndoTable, loaded
from nexus_reimport.nexus.structure import references
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.writing import differences, incoming, relinking, undo_data, versions
from nexus_reimport.nexus.writing.differences import Difference
from nexus_reimport.nexus.writing.run_lock import run_lock, wait_for_run_lock
from nexus_reimport.nexus.writing.transaction import Reports, Transaction, write_transaction
from nexus_reimport.nexus.writing.vacuum import vacuum
from nexus_reimport.settings import Postgres
from nexus_reimport.stages.apply import keys, states
from nexus_reimport.stages.apply import subject as subjects
from nexus_reimport.stages.apply.request import ApplyRequest, BeforeCommit

STEPS = 14  # as timed, COMMIT included


def apply(
    target: Postgres,
    request: ApplyRequest,
    before_commit: BeforeCommit,
    *,
    commit: bool,
    journal: Journal = null_journal,
) -> Applied:
    """Wipe, load, re-link and check in one transaction; COMMIT only if ``commit`` and approved.

    ``journal`` gets each step, and COMMIT as it happens.

    Raises:
        StopError: not approved, not this environment's database, a different state than planned,
            or a check inside failed.
        Busy: another run is at work, or writers held the tables all the time.
        InDoubt: the connection was lost at COMMIT.
        TargetError: PostgreSQL refused. Every error except InDoubt leaves the database as it was.
    """
    if commit and request.scratch is None and not request.is_approved:
        raise StopError(
            "this plan is not approved", next="run 01_preflight, then approve its digest"
        )
    with (
        connected(target, ROLLED_BACK) as connection,
        run_lock(connection, target.lock_wait, journal),
    ):
        if request.scratch is not None:
            request.scratch.require_within(connection)
        elif commit:
            deployment.require(connection, request.environment)
            _refuse_second(connection, request)
        reports = Reports("apply", STEPS, journal)
        schema_name = request.intake.mapping.schema_name
        transaction = Transaction(connection, target, schema_name, reports)
        with transaction.in_time():
            work = _Reimport(transaction, request, before_commit, commit=commit)
            applied: Applied = write_transaction(
                transaction, work.do, commit=commit, journal=journal, rows=Applied.rows_in_all
            )
        return work.after_commit(applied) if commit else applied


def settle(target: Postgres, run: str, environment: str) -> tuple[tuple[str, str] | None, str]:
    """What ``run`` was for, if it was committed: its kind, and the run that it has undone.

    None if it was not. And the timeline of the server that says so (``standbys.timeline``). The
    database is asked once the run's session has ended.

    Raises:
        TargetError: the database cannot be reached, or that session is still there; the run stays
            in doubt.
        StopError: this connection leads to another database than ``environment``'s, or to a
            replica: each may lead elsewhere. The run stays in doubt.
    """
    with connected(target, "not known yet") as connection:
        wait_for_run_lock(connection, target.lock_wait)
        deployment.require(connection, environment, "not known yet")
        return registry.purpose(connection, run), standbys.timeline(connection)


def _refuse_second(connection: Connection, request: ApplyRequest) -> None:
    """Stop if the run was committed already, as by another process that held the run's lock."""
    if registry.was_committed(connection, request.run):
        raise StopError(
            f"run {request.run} was committed already",
            state="committed by this run; nothing was written a second time",
            next=f"nexus-reimport finish {request.environment} verifies and seals it",
        )


class _Reimport:
    """The steps inside the transaction."""

    def __init__(
        self,
        transaction: Transaction,
        request: ApplyRequest,
        before_commit: BeforeCommit,
        *,
        commit: bool,
    ) -> None:
        self._transaction, self._connection = transaction, transaction.connection
        self._request, self._commit, self._before_commit = request, commit, before_commit
        self._intake, self._mapping = request.intake, request.intake.mapping
        # A missing table could not be read; repeated under the locks.
        states.require_same_schema(self._connection, request)
        self._subject = subjects.read(transaction, request)
        self._undo, self._wanted = self._subject.undo, self._subject.wanted
        self._known = references.declared(self._subject.database)

    def do(self) -> Applied:
        """Every step up to COMMIT, in their order.

        As much as possible comes before the locks: from then on the clinic's writers wait. Nobody
        waits for a temporary table, which only our own session sees.
        """
        step = self._transaction.step
        with step("copy into temporary tables"):
            self._load()
            if not self._commit:
                states.require_printed_as_planned(self._subject)
        with step("copy aside for undo"):
            same = set(versions.write_down(self._transaction, self._undo.parts))
            foretold = self._copy_aside()
        with step("find what differs"):
            differing = self._find_differing()
        with step("wait for locks"):
            self._lock()
        with step("compare the state before"):
            states.require_same_schema(self._connection, self._request)
            # A row that was written since has another version; its table is hashed again.
            same -= {part for part in same if versions.moved(self._transaction, part)}
            states.compare_before(self._subject, {part.table for part in same})
            keys.require_new(self._subject)
        with states.foreign_keys_hold(self._subject):
            deleted, updated, inserted = self._write(differing)
        with step("re-link"):
            undo_data.copy_links(self._transaction, self._undo, self._linked_keys())
            relinked = {link.attachment: self._relink(link) for link in self._undo.links}
        # now, so that COMMIT itself has nothing left to refuse
        with step("check foreign keys"), states.foreign_keys_hold(self._subject):
            self._transaction.execute(sql.SQL("SET CONSTRAINTS ALL IMMEDIATE"))
        with step("fingerprint after"):
            after = {
                part.table: states.after(self._subject, part, foretold, is_same=part in same)
                for part in self._undo.parts
            }
        with step("checks inside"):
            report = self._checked(after, differing)
            states.require_rehearsed(self._subject, after)
            states.require_foretold(after, foretold)
        with step("remember the run"):
            self._remember(after)
            if self._commit:
                keys.move_past(self._subject)
        return Applied(
            committed=False,
            at=datetime.now(UTC),
            deleted=deleted,
            inserted=inserted,
            relinked=relinked,
            after=after,
            writers_waited=self._transaction.waited(),
            timings=self._transaction.timings,
            report=report,
            updated=updated,
            written={table: difference.rows for table, difference in differing.items()},
            write=self._request.write,
        )

    def _load(self) -> None:
        """The planned rows into temporary tables, and what is remembered of them into our own."""
        self._transaction.fix_session()
        registry.make(self._connection)
        undo_data.make(self._connection, self._undo)
        self._load_incoming()
        self._remember_loaded()

    def _copy_aside(self) -> dict[UndoPart, Fingerprint]:
        """Copy the rows as they are into the undo data; gives the state that is foretold.

        Every row is hashed as it will be, now: under the locks nobody need wait for that.
        """
        undo_data.copy_rows(self._transaction, self._undo)
        return undo_data.foretell(
            self._transaction, self._undo, dict(states.rows_to_come(self._subject))
        )

    def _find_differing(self) -> dict[str, Difference]:
        """Wiped table -> which of its rows are written.

        Stops early if the state is another one, before anybody has waited; it is compared again
        under the locks.
        """
        states.require_before(self._subject, states.copied(self._subject))
        differing = {part.table: self._differing(part) for part in self._undo.tables}
        self._write_down_pointers([t for t, difference in differing.items() if difference.new])
        return differing

    def _lock(self) -> None:
        wiped = [part.table for part in self._undo.tables]
        self._transaction.lock([*wiped, *self._mapping.link_tables()])

    def _write(
        self, differing: Mapping[str, Difference]
    ) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Delete, update and insert what differs; table -> rows, for each of the three."""
        step, transaction = self._transaction.step, self._transaction
        # every foreign key of Nexus can be deferred; its rows come back in this transaction
        self._connection.execute("SET CONSTRAINTS ALL DEFERRED")
        parents_first = [self._wanted[part.table] for part in self._undo.tables]
        with step("delete"):
            # Children first: a row goes before the row that it points at.
            children_first = reversed(parents_first)
            deleted = differences.each(differences.delete, transaction, children_first, differing)
        with step("update"):
            # Before the inserts: an update may give free the unique value that a new row takes.
            updated = differences.each(differences.update, transaction, parents_first, differing)
        with step("insert"):
            inserted = differences.each(differences.insert, transaction, parents_first, differing)
        return deleted, updated, inserted

    def _checked(
        self, after: dict[str, Fingerprint], differing: Mapping[str, Difference]
    ) -> Report:
        """The report of the checks inside.

        Raises:
            StopError: one failed. The transaction is rolled back.
        """
        inside = Inside(
            self._intake,
            self._subject.database,
            self._request.plan,
            after,
            self._transaction.writes(),
            self._undo,
            planned={table: difference.writes for table, difference in differing.items()},
        )
        report = self._before_commit(inside)
        checks.require(
            report,
            " inside the transaction",
            state=ROLLED_BACK,
            next="read each claim in the report, fix the cause, run 01_preflight again",
        )
        return report

    def after_commit(self, applied: Applied) -> Applied:
        """``applied`` with what is only known after COMMIT. VACUUM runs outside of transactions."""
        waited = self._transaction.committed(applied.writers_waited)
        committed = after_commit(
            applied, waited, self._transaction.timings, is_confirmed=self._transaction.is_confirmed
        )
        wiped = [part.table for part in self._undo.tables]
        return replace(committed, warnings=tuple(vacuum(self._transaction, wiped)))

    def _load_incoming(self) -> None:
        plan, folder = self._request.plan, self._intake.folder
        for entity in plan.entities.values():
            incoming.load_rows(self._transaction, self._wanted[entity.table], folder, entity.file)
        for link in self._undo.links:
            file = plan.links[link.attachment].file
            incoming.load_links(self._transaction, link, folder, file)

    def _linked_keys(self) -> dict[str, sql.Composed]:
        """The keys of the linking rows that are written, by attachment."""
        return {link.attachment: incoming.linked_keys(link) for link in self._undo.links}

    def _write_down_pointers(self, tables: Collection[str]) -> None:
        """Write down what points already at rows that the run will create in ``tables``."""
        created = {table: differences.new_rows(self._wanted[table]) for table in tables}
        known = undo_data.from_outside(self._undo, self._known)
        undo_data.write_down_pointers(
            self._transaction, self._undo, known, created, self._linked_keys()
        )

    def _differing(self, part: UndoTable) -> Difference:
        self._transaction.let_go_first()
        present = self._undo.before(part)
        return differences.find(self._transaction, self._wanted[part.table], present)

    def _relink(self, link: registry.UndoLinks) -> int:
        try:
            return relinking.write(self._transaction, link, incoming.links(link.attachment))
        except (psycopg.errors.UniqueViolation, psycopg.errors.ExclusionViolation) as error:
            raise StopError(
                f"links of {link.attachment} cannot be written: two rows would have one value under"
                " a unique key, or exchange theirs, and PostgreSQL compares each row as it is"
                " written",
                where=constraint_of(error),
                state=ROLLED_BACK,
                next="if they exchange them, take one of both off its patient in Nexus, or have the"
                " application make a constraint DEFERRABLE INITIALLY DEFERRED, which no index alone"
                " can be; else correct in FileMaker whose they are. Then run 01_preflight again",
            ) from None

    def _remember_loaded(self) -> None:
        """Save which record became which row; in our own table, so before the locks."""
        if not self._undo.loaded:
            return
        loaded.replace(self._connection, self._intake.folder, self._request.plan.id_map)

    def _remember(self, after: Mapping[str, Fingerprint]) -> None:
        plan = self._request.plan
        row = run_row(self._request, str(plan.scope), plan.before, after, self._undo)
        self._transaction.committed_at = registry.remember(self._connection, row)
