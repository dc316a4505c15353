"""The rollback: its steps in their order, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from nexus_reimport import checks, wording
from nexus_reimport.checks.rollback import Undoing
from nexus_reimport.errors import ROLLED_BACK, StopError
from nexus_reimport.events import Journal, null_journal
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import NewerDecision, Report, Undone, after_commit, run_row
from nexus_reimport.nexus import changes, deployment, registry
from nexus_reimport.nexus.changes import Since
from nexus_reimport.nexus.connection.driver_errors import constraint_of
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.nexus.registry import Committed, UndoData, loaded
from nexus_reimport.nexus.structure import fingerprint, schema
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.fingerprint import Fingerprint, moved
from nexus_reimport.nexus.structure.tables import Role, fingerprints_of, tables_with
from nexus_reimport.nexus.writing import differences, relinking, versions
from nexus_reimport.nexus.writing.differences import Difference
from nexus_reimport.nexus.writing.run_lock import run_lock
from nexus_reimport.nexus.writing.transaction import Reports, Transaction, write_transaction
from nexus_reimport.settings import Postgres
from nexus_reimport.stages.undo.findings import Finder
from nexus_reimport.stages.undo.latest import latest, references_to_wiped, require_same_schema
from nexus_reimport.stages.undo.request import STAGE, STEPS, BeforeCommit, RollbackRequest


def run(
    target: Postgres,
    mapping: FieldMapping,
    request: RollbackRequest,
    before_commit: BeforeCommit,
    *,
    journal: Journal = null_journal,
) -> Undone:
    """Undo the run and check, in one transaction; COMMIT only if approved.

    Raises:
        StopError: not approved, changed since the preview, or a check inside failed.
        Busy: another run is at work, or writers held the tables all the time.
        InDoubt: the connection was lost at COMMIT.
        TargetError: PostgreSQL refused. Every error except InDoubt leaves the database as it was.
    """
    if request.scratch is None and not request.is_approved:
        raise StopError(
            "this rollback is not approved",
            next="read 90_rollback, then approve the digest that it shows",
        )
    with (
        connected(target, ROLLED_BACK) as connection,
        run_lock(connection, target.lock_wait, journal),
    ):
        if request.scratch is not None:
            request.scratch.require_within(connection)
        else:
            deployment.require(connection, request.environment)
        reports = Reports(STAGE, STEPS, journal)
        transaction = Transaction(connection, target, mapping.schema_name, reports)
        work = _Rollback(transaction, mapping, request, before_commit)
        with transaction.in_time():
            undone = write_transaction(
                transaction, work.do, commit=True, journal=journal, rows=Undone.rows_in_all
            )
        return work.after_commit(undone)


class _Rollback:
    """The steps inside the transaction."""

    def __init__(
        self,
        transaction: Transaction,
        mapping: FieldMapping,
        request: RollbackRequest,
        before_commit: BeforeCommit,
    ) -> None:
        self._transaction, self._connection = transaction, transaction.connection
        self._mapping, self._request, self._before_commit = mapping, request, before_commit
        self._keep = request.newer is NewerDecision.KEEP

    def do(self) -> Undone:
        """Every step up to COMMIT, in their order."""
        step = self._transaction.step
        with step("read the undo data"):
            database, undoes, undo = self._read()
            known = references_to_wiped(database, undo)
            finder = Finder(self._transaction, self._mapping, undo, known, keep=self._keep)
            # As much as possible before the locks: from then on the clinic's writers wait.
            self._loaded_back(undo)
            same = changes.look_ahead(self._transaction, undo)
            findings = finder.find(undo.parts)
        with step("wait for locks"):
            self._transaction.lock([part.table for part in undo.parts])
        with step("compare with what was approved"):
            self._compare_schema(undoes)
            # A row that was written since has another version; its table is hashed again.
            same -= {part for part in same if versions.moved(self._transaction, part)}
            if not finder.are_still(findings, same):
                findings = finder.find(same)
            self._compare(database, findings.now)
            self._require_choice(findings.newer)
        parents_first = [findings.wanted[part.table] for part in undo.tables]
        differing = findings.differing
        # rows come back in this transaction, whatever points at them in between
        self._connection.execute("SET CONSTRAINTS ALL DEFERRED")
        with step("delete"):
            deleted = differences.each(
                differences.delete, self._transaction, reversed(parents_first), differing
            )
        with step("put back"), self._beside_what_stays():
            differences.each(differences.update, self._transaction, parents_first, differing)
            differences.each(differences.insert, self._transaction, parents_first, differing)
        with step("put links back"), self._beside_what_stays():
            relinked = self._put_links_back(undo)
        # now, so that COMMIT itself has nothing left to refuse
        with step("check foreign keys"), self._beside_what_stays():
            self._transaction.execute(sql.SQL("SET CONSTRAINTS ALL IMMEDIATE"))
        with step("checks inside"):
            proven = finder.proven(findings, same)
            undoing = Undoing(
                self._transaction,
                database,
                undoes,
                undo,
                findings.newer,
                self._keep,
                known,
                relinked,
                after=self._after(database, {p.table: findings.foretold[p] for p in proven}),
                planned={table: difference.writes for table, difference in differing.items()},
                misplaced=finder.misplaced(proven),
            )
            report = self._checked(undoing)
        with step("remember the run"):
            self._remember(undoes, undoing.after)
        return self._undone(undoing, report, deleted, differing)

    def _read(self) -> tuple[Database, Committed, UndoData]:
        """The database, the run that is undone, and its undo data."""
        self._transaction.fix_session()
        registry.make(self._connection)
        database = Database.read(self._connection, self._mapping)
        return database, *latest(database, self._request.undoes)

    def _checked(self, undoing: Undoing) -> Report:
        """The report of the checks inside.

        Raises:
            StopError: one failed. The transaction is rolled back.
        """
        report = self._before_commit(undoing)
        checks.require(
            report,
            " inside the transaction",
            state=ROLLED_BACK,
            next=f"nexus-reimport restore {undoing.undoes.run} --into NAME gives the whole"
            " database back",
        )
        return report

    def _undone(
        self,
        undoing: Undoing,
        report: Report,
        deleted: dict[str, int],
        differing: Mapping[str, Difference],
    ) -> Undone:
        """What was done, as it is before COMMIT."""
        after = dict(undoing.after)
        return Undone(
            committed=False,
            at=datetime.now(UTC),
            undoes=undoing.undoes.run,
            exact=not fingerprint.differing(undoing.undoes.before, after),
            newer=self._request.newer,
            deleted=deleted,
            put_back={part.table: after[part.table].rows for part in undoing.undo.tables},
            relinked=dict(undoing.relinked),
            since=undoing.since,
            after=after,
            writers_waited=self._transaction.waited(),
            timings=self._transaction.timings,
            report=report,
            written={table: difference.rows for table, difference in differing.items()},
        )

    def after_commit(self, undone: Undone) -> Undone:
        """``undone`` with what is only known after COMMIT."""
        waited = self._transaction.committed(undone.writers_waited)
        return after_commit(
            undone, waited, self._transaction.timings, is_confirmed=self._transaction.is_confirmed
        )

    def _compare_schema(self, undoes: Committed) -> None:
        """Stop unless the schema is as approved; under the locks nobody can change it."""
        now = require_same_schema(self._connection, self._mapping, undoes, ROLLED_BACK)
        if self._request.proposal is None:
            return
        schema.require_same(
            self._request.proposal.schema,
            now,
            "since the preview",
            state=ROLLED_BACK,
            next="preview again, then approve the digest that it shows",
        )

    def _compare(self, database: Database, now: Mapping[str, Fingerprint]) -> None:
        """Stop unless the rows are as approved; ``now`` has the tables of the undo data."""
        if self._request.proposal is None:
            return
        approved = self._request.proposal.now
        differ = moved(approved, {**fingerprints_of(database, approved.keys() - now.keys()), **now})
        if differ:
            raise StopError(
                f"Nexus was changed since the preview\n{wording.lines(differ.values())}",
                state=ROLLED_BACK,
                next="preview again, then approve the digest that it shows",
            )

    def _require_choice(self, newer: Since) -> None:
        if self._request.newer is NewerDecision.UNDECIDED and newer.asks:
            raise StopError(
                "rows were created or edited since the run, and nobody has decided about them",
                state=ROLLED_BACK,
                next="choose --keep-newer or --discard-newer",
            )

    @contextmanager
    def _beside_what_stays(self) -> Iterator[None]:
        """If a row cannot be put back because of what was written since, the error says so."""
        run = self._request.undoes
        try:
            yield
        except (psycopg.errors.UniqueViolation, psycopg.errors.ExclusionViolation) as error:
            newer = "choose --discard-newer, or " if self._keep else ""
            raise StopError(
                "a row from before the run cannot be put back: a newer row, which"
                " stays, has the same value under a unique key",
                where=constraint_of(error),
                state=ROLLED_BACK,
                next=f"{newer}change that value of the newer row in Nexus; then preview again. Or"
                f" nexus-reimport restore {run} --into NAME gives the whole database back",
            ) from None
        except psycopg.errors.ForeignKeyViolation as error:
            raise self._points_at_nothing(error) from None

    def _points_at_nothing(self, error: psycopg.errors.ForeignKeyViolation) -> StopError:
        """The error where a row that comes back would point at nothing, or one that stays."""
        run, place = self._request.undoes, constraint_of(error)
        if error.diag.table_name in {*self._mapping.wiped_tables(), *self._mapping.link_tables()}:
            return StopError(
                "a row from before the run cannot be put back: it points at one that was deleted"
                " since",
                where=place,
                state=ROLLED_BACK,
                next="have the application make that row again, with its id; then preview again."
                f" Or nexus-reimport restore {run} --into NAME gives the whole database back",
            )
        return StopError(
            "since the run another row refers to a value that the rollback takes back",
            where=place,
            state=ROLLED_BACK,
            next="have that row refer to another value in Nexus; then preview again."
            f" Or nexus-reimport restore {run} --into NAME gives the whole database back",
        )

    def _after(
        self, database: Database, proven: Mapping[str, Fingerprint]
    ) -> dict[str, Fingerprint]:
        """The fingerprints of wiped and linking tables as they are; some are ``proven``."""
        chosen = tables_with(database, Role.WIPED, Role.LINK)
        return {**fingerprints_of(database, chosen - proven.keys()), **proven}

    def _put_links_back(self, undo: UndoData) -> dict[str, int]:
        return {
            link.attachment: relinking.write(
                self._transaction,
                link,
                sql.SQL("({})").format(changes.put_back(undo, link, keep=self._keep)),
            )
            for link in undo.links
        }

    def _loaded_back(self, undo: UndoData) -> None:
        if undo.loaded:
            loaded.put_back(self._transaction.execute, undo)

    def _remember(self, undoes: Committed, after: Mapping[str, Fingerprint]) -> None:
        request = self._request
        if not registry.mark_undone(self._connection, undoes.run, request.run):
            raise StopError(
                f"the row of run {undoes.run} was changed or deleted meanwhile",
                where=f"{registry.OWN_SCHEMA}.{registry.RUNS_NAME}",
                state=ROLLED_BACK,
                next="find out who writes to that table; then begin the rollback again",
            )
        before = request.proposal.now if request.proposal else undoes.after
        row = run_row(request, "rollback", before, after)
        self._transaction.committed_at = registry.remember(self._connection, row)
