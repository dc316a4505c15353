"""Undoes the latest run, in one transaction, from the undo data that the run itself made.

Every wiped table gets back the rows that it had before the run, and every link that the run fixed
is as it was. What people created or edited since is found by (key, hash) and listed. A person
decides whether it is kept, with everything that it points at, or discarded. A row that a protected
row points at stays in any case: no reference is left dangling.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from nexus_reimport import checks
from nexus_reimport.checks.rollback import Undoing
from nexus_reimport.errors import NOTHING_WRITTEN, StopError
from nexus_reimport.events import Journal, null_journal
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import (
    Approval,
    NewerDecision,
    Report,
    RollbackPreview,
    RollbackProposal,
    Undone,
    after_commit,
    digest,
    run_row,
)
from nexus_reimport.nexus import (
    changes,
    deployment,
    differences,
    fingerprint,
    references,
    registry,
    schema,
    undo_data,
    versions,
    waiters,
)
from nexus_reimport.nexus.changes import Since
from nexus_reimport.nexus.database import Database
from nexus_reimport.nexus.differences import Difference, Wanted
from nexus_reimport.nexus.fingerprint import Fingerprint, moved
from nexus_reimport.nexus.postgres import (
    Connection,
    connected,
    copy_out,
    rolled_back,
    scalar,
    table_name,
)
from nexus_reimport.nexus.references import Reference
from nexus_reimport.nexus.registry import (
    Committed,
    UndoData,
    UndoLinks,
    UndoPart,
    UndoTable,
    loaded,
)
from nexus_reimport.nexus.scratch import Scratch
from nexus_reimport.nexus.tables import (
    Role,
    fingerprints_now,
    fingerprints_of,
    mapped_tables,
    tables_with,
)
from nexus_reimport.nexus.transaction import (
    ROLLED_BACK,
    Reports,
    Transaction,
    run_lock,
    write_transaction,
)
from nexus_reimport.settings import Postgres

STEPS = 10  # as timed, COMMIT included
STAGE = "undo"


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    """Which run is undone, by which run, and what becomes of newer rows."""

    run: str
    environment: str
    undoes: str
    newer: NewerDecision
    proposal: RollbackProposal | None = None
    approval: Approval | None = None
    scratch: Scratch | None = None

    @property
    def is_approved(self) -> bool:
        """Whether the approval is for this rollback, and its proposal was not edited since."""
        return (
            self.proposal is not None
            and self.approval is not None
            and self.approval.digest == self.proposal.digest
            and digest(replace(self.proposal, digest="")) == self.proposal.digest
            and (self.proposal.undoes, self.proposal.newer) == (self.undoes, self.newer)
        )


BeforeCommit = Callable[[Undoing], Report]


def preview(
    target: Postgres, mapping: FieldMapping, run: str, newer: NewerDecision, folder: Path
) -> RollbackPreview:
    """What undoing ``run`` would do now; only private files are written.

    Whole rows that were created or edited since go to the private ``folder``.

    Raises:
        StopError: it is not the latest run, its undo data is gone, or the schema was changed.
            Nothing was written.
    """
    with waiters.reading(target) as connection, rolled_back(connection):
        # temporary tables need a transaction that may write; it is rolled back
        reports = Reports(STAGE, STEPS, null_journal)
        transaction = Transaction(connection, target, mapping.schema_name, reports)
        transaction.fix_session()
        database = Database.read(connection, mapping)
        undoes, undo = latest(database, run)
        known = _known(database, undo)
        newer_rows = changes.find(transaction, undo, known, keep=newer is NewerDecision.KEEP)
        saved = {
            part.table: copy_out(
                connection,
                changes.newer_rows(transaction, part),
                folder / f"newer_{part.table}.parquet",
                part.loads,
            )
            for part in undo.tables
        }
        return RollbackPreview(
            undoes=undoes.run,
            kind=undoes.kind,
            committed_at=undoes.committed_at,
            newer=newer,
            since=newer_rows,
            rows_before={p.table: undoes.before[p.table].rows for p in undo.tables},
            rows_now={p.table: _count(connection, mapping, p.table) for p in undo.tables},
            links=registry.links_before(connection, undo),
            now=fingerprints_now(database, Role.WIPED, Role.LINK),
            schema=schema.describe(connection, mapping),
            saved=saved,
        )


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
            request.scratch.require(connection)
        else:
            deployment.require(connection, request.environment)
        reports = Reports(STAGE, STEPS, journal)
        transaction = Transaction(connection, target, mapping.schema_name, reports)
        work = _Rollback(transaction, mapping, request, before_commit)
        with transaction.in_time():
            undone = write_transaction(connection, work.do, commit=True, journal=journal)
        return work.after_commit(undone)


def latest(database: Database, run: str) -> tuple[Committed, UndoData]:
    """The run that can be undone, and its undo data; ``run`` must name it, or be empty.

    Raises:
        StopError: there is none, another run is the latest, or it cannot be undone exactly.
            Nothing was written.
    """
    connection = database.connection
    every = registry.runs(connection)
    # a rollback has no undo data: it cannot be undone itself
    standing = [r for r in every if r.kind != "rollback" and not r.undone_by]
    if run and (not standing or run != standing[0].run):
        raise _not_this_one(run, every, standing)
    if not standing:
        raise StopError(
            "no run was committed here that could be undone",
            where=f"database {scalar(connection, 'SELECT current_database()')}",
            next="see nexus-reimport record list",
        )
    last = standing[0]
    restore = f"nexus-reimport restore {last.run} --into NAME gives the whole database back"
    if last.undo is None or not registry.is_kept(connection, last.undo):
        raise StopError(
            f"the undo data of run {last.run} no longer exists",
            where="it was purged, or the database was restored from a dump since",
            next=restore,
        )
    _require_same_schema(database, last, NOTHING_WRITTEN)
    return last, last.undo


def _not_this_one(run: str, every: Sequence[Committed], standing: Sequence[Committed]) -> StopError:
    """Why ``run`` cannot be undone; ``standing`` are those that are not undone, the latest first.

    Who repeats a rollback must not be sent on to undo the run before it.
    """
    known = next((r for r in every if r.run == run), None)
    latest = f"the latest is {standing[0].run}" if standing else "no run is left that could be"
    if known is not None and known.kind != "rollback" and not known.undone_by:
        return StopError(
            f"run {run} is not the latest; {latest}",
            next=f"only the latest can be undone: nexus-reimport rollback {standing[0].run};"
            f" the whole database as before {run}: nexus-reimport restore {run} --into NAME",
        )
    before = ""
    if standing:
        before = f"only to undo run {standing[0].run} too: nexus-reimport rollback"
        before += f" {standing[0].run}"
    if known is None:
        return StopError(
            f"run {run} was never committed here, so there is nothing to undo; {latest}",
            next=before or "see nexus-reimport record list",
        )
    again = f"nexus-reimport run {known.environment} imports again"
    todo = "; ".join(filter(None, (again, before)))
    if known.kind == "rollback":
        return StopError(
            f"run {run} is a rollback, which cannot be undone itself; {latest}", next=todo
        )
    return StopError(
        f"run {run} was undone by {known.undone_by} already: nothing is left to do; {latest}",
        next=todo,
    )


def _require_same_schema(database: Database, undoes: Committed, state: str) -> None:
    """Stop unless the schema is the one before the run: else its rows cannot be put back exactly.

    Raises:
        StopError: the schema was changed. ``state`` is left.
    """
    since_run = f"since run {undoes.run}"
    advice = (
        "revert the change and try again; or nexus-reimport restore"
        f" {undoes.run} --into NAME gives the whole database back"
    )
    kept = undoes.undo
    if kept is None or (
        not kept.facts
        and database.catalog.digest(mapped_tables(database.mapping)) != kept.schema_digest
    ):
        raise StopError(
            f"the schema of the tables was changed {since_run}",
            where="columns, types or foreign keys of mapped tables",
            state=state,
            next=advice,
        )
    if kept.facts:
        now = schema.structure(schema.describe(database.connection, database.mapping))
        schema.require_same(kept.facts, now, since_run, state=state, next=advice)


def _known(database: Database, undo: UndoData) -> tuple[Reference, ...]:
    """The references that can point at a row of a wiped table."""
    wiped = {part.table for part in undo.tables}
    return tuple(r for r in references.declared(database) if r.target in wiped)


def _count(connection: Connection, mapping: FieldMapping, table: str) -> int:
    place = table_name(mapping.schema_name, table)
    return int(scalar(connection, sql.SQL("SELECT count(*) FROM {}").format(place)))


@dataclass(frozen=True, slots=True)
class _Findings:
    """What is to be done: found before the first lock, and again under the locks if need be."""

    newer: Since
    now: dict[str, Fingerprint]  # of each table of the undo data, as it is
    wanted: dict[str, Wanted]
    differing: dict[str, Difference]
    foretold: dict[UndoPart, Fingerprint]


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
            known = _known(database, undo)
            # As much as possible before the locks: from then on the clinic's writers wait.
            self._loaded_back(undo)
            same = changes.look_ahead(self._transaction, undo)
            findings = self._find(undo, known, undo.parts)
        with step("wait for locks"):
            # Of several attachments some may share a table; each is locked once.
            self._transaction.lock(tuple(dict.fromkeys(part.table for part in undo.parts)))
        with step("compare with what was approved"):
            self._compare_schema(undoes)
            # A row that was written since has another version; its table is hashed again.
            same -= {part for part in same if versions.moved(self._transaction, part)}
            if not self._is_still(findings, undo, known, same):
                findings = self._find(undo, known, same)
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
        with step("put back"):
            differences.each(differences.update, self._transaction, parents_first, differing)
            differences.each(differences.insert, self._transaction, parents_first, differing)
        with step("put links back"):
            relinked = self._links_back(undo)
        with step("check foreign keys"):  # now, so that COMMIT itself has nothing left to refuse
            self._transaction.execute(sql.SQL("SET CONSTRAINTS ALL IMMEDIATE"))
        with step("checks inside"):
            proven = self._proven(undo, findings, same)
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
                misplaced=self._misplaced(undo, proven),
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

    def _misplaced(self, undo: UndoData, proven: Collection[UndoPart]) -> dict[str, int]:
        """Table -> rows that are not as they were; those of a ``proven`` part are not asked for."""
        rows = Counter[str]()
        for part in undo.parts:
            rows[part.table] += 0 if part in proven else changes.misplaced(self._transaction, part)
        return rows

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
        return after_commit(undone, waited, self._transaction.timings)

    def _compare_schema(self, undoes: Committed) -> None:
        """Stop unless the schema is as approved; under the locks nobody can change it."""
        now = Database.read(self._connection, self._mapping)
        _require_same_schema(now, undoes, ROLLED_BACK)
        if self._request.proposal is None:
            return
        schema.require_same(
            self._request.proposal.schema,
            schema.describe(self._connection, self._mapping),
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
                "Nexus was changed since the preview\n" + "\n".join(f"    {d}" for d in differ),
                state=ROLLED_BACK,
                next="preview again, then approve the digest that it shows",
            )

    def _require_choice(self, newer: Since) -> None:
        if self._request.newer is NewerDecision.UNDECIDED and any(n.rows for n in newer.newer):
            raise StopError(
                "rows were created or edited since the run, and nobody has decided about them",
                state=ROLLED_BACK,
                next="choose --keep-newer or --discard-newer",
            )

    def _find(
        self, undo: UndoData, known: tuple[Reference, ...], same: Collection[UndoPart]
    ) -> _Findings:
        """What is to be done; the parts ``same`` are as they were hashed, others are read again."""
        newer = changes.find(self._transaction, undo, known, keep=self._keep, same=same)
        wanted = {part.table: self._wanted(undo, part) for part in undo.tables}
        return _Findings(
            newer,
            changes.fingerprints(self._transaction, undo),
            wanted,
            {part.table: self._differing(part, wanted[part.table]) for part in undo.tables},
            changes.foretell(self._transaction, undo, keep=self._keep),
        )

    def _is_still(
        self,
        findings: _Findings,
        undo: UndoData,
        known: tuple[Reference, ...],
        same: Collection[UndoPart],
    ) -> bool:
        """Whether what was found before the locks is so under them."""
        return (
            len(same) == len(undo.parts)
            # Where something is referenced, that may have ended: asked afresh, as it is rare.
            and not findings.newer.pointed_at
            and not changes.is_pointed_at_anew(self._transaction, undo, known, keep=self._keep)
        )

    def _proven(
        self, undo: UndoData, findings: _Findings, same: Collection[UndoPart]
    ) -> frozenset[UndoPart]:
        """The parts of which each row is as it was foretold, without hashing them again."""
        return frozenset(
            part
            for part in findings.foretold
            if part in same
            and (
                self._are_links_back(undo, part)
                if isinstance(part, UndoLinks)
                else self._is_back(part, findings.wanted[part.table])
            )
        )

    def _is_back(self, part: UndoPart, wanted: Wanted) -> bool:
        """Whether each row is of the version that was hashed, or stored as before the run."""
        return (
            not wanted.whole
            and not versions.moved(self._transaction, part, wanted.written)
            and differences.are_as_wanted(self._transaction, wanted)
        )

    def _are_links_back(self, undo: UndoData, link: UndoLinks) -> bool:
        """The same of the links."""
        back = changes.written_links(undo, link, keep=self._keep)
        keys = sql.SQL("SELECT {} FROM {} AS b").format(sql.Identifier(link.key), back)
        place = table_name(self._mapping.schema_name, link.table)
        columns = undo_data.hashed_columns(link)
        return not versions.moved(self._transaction, link, keys) and differences.are_stored(
            self._transaction, place, link.key, columns, back
        )

    def _after(
        self, database: Database, proven: Mapping[str, Fingerprint]
    ) -> dict[str, Fingerprint]:
        """The fingerprints of wiped and linking tables as they are; some are ``proven``."""
        chosen = tables_with(database, Role.WIPED, Role.LINK)
        return {**fingerprints_of(database, chosen - proven.keys()), **proven}

    def _wanted(self, undo: UndoData, part: UndoTable) -> Wanted:
        """The rows of a wiped table that are to be put back; only those not as they were."""
        schema_name = self._mapping.schema_name
        return Wanted(
            name=part.after,
            table=part.table,
            key=part.key,
            columns=part.loads,
            place=changes.unlike(part, undo.before(part)),
            fixed=differences.fixed_columns(self._connection, schema_name, part.table),
            whole=not changes.is_comparable(part),
        )

    def _differing(self, part: UndoTable, wanted: Wanted) -> Difference:
        changes.find_unlike(self._transaction, part)
        present = changes.unlike(part, table_name(self._mapping.schema_name, part.table))
        return differences.find(self._transaction, wanted, present)

    def _links_back(self, undo: UndoData) -> dict[str, int]:
        return {
            link.attachment: self._transaction.execute(
                undo_data.link_update(
                    self._mapping.schema_name,
                    link,
                    sql.SQL("({})").format(changes.put_back(undo, link, keep=self._keep)),
                )
            )
            for link in undo.links
        }

    def _loaded_back(self, undo: UndoData) -> None:
        if undo.loaded:
            loaded.put_back(self._transaction.execute, undo)

    def _remember(self, undoes: Committed, after: Mapping[str, Fingerprint]) -> None:
        request = self._request
        registry.mark_undone(self._connection, undoes.run, request.run)
        before = request.proposal.now if request.proposal else undoes.after
        registry.remember(self._connection, run_row(request, "rollback", before, after))
