"""Does exactly what the plan says, in one transaction.

Order: before any lock: session fixed; row files into temporary tables; copies into the undo
schema, and (key, hash) of every row as it will be; which rows differ. Then EXCLUSIVE locks; the
state before compared with the plan's; DELETE children first, UPDATE, INSERT parents first, each
only of rows that differ, or of all, as was approved; links fixed; constraints checked; the
fingerprints, which must be those that were foretold; the checks inside; the state after compared
with the rehearsed one; the run's row; COMMIT.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from psycopg import sql

from nexus_reimport import checks, wording
from nexus_reimport.checks.inside import Inside
from nexus_reimport.errors import StopError
from nexus_reimport.events import Journal, null_journal
from nexus_reimport.intake import Intake
from nexus_reimport.model import (
    Applied,
    Approval,
    Plan,
    Proposal,
    Report,
    after_commit,
    digest,
    run_row,
)
from nexus_reimport.nexus import (
    deployment,
    differences,
    incoming,
    references,
    registry,
    schema,
    sequences,
    undo_data,
    versions,
)
from nexus_reimport.nexus.database import Database
from nexus_reimport.nexus.differences import Difference, Wanted
from nexus_reimport.nexus.fingerprint import Fingerprint, moved
from nexus_reimport.nexus.postgres import (
    connected,
    scalar,
    table_name,
)
from nexus_reimport.nexus.registry import UndoPart, UndoTable, loaded
from nexus_reimport.nexus.scratch import Scratch
from nexus_reimport.nexus.tables import fingerprints_of
from nexus_reimport.nexus.transaction import (
    ROLLED_BACK,
    Reports,
    Transaction,
    run_lock,
    wait_for_run_lock,
    write_transaction,
)
from nexus_reimport.nexus.vacuum import vacuum
from nexus_reimport.settings import Postgres, Write

STEPS = 14  # as timed, COMMIT included


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """What to do: the plan, what it was made from, and the run that does it.

    The run stops if the schema under the locks differs from the surveyed one.

    It is committed only with an approval of this proposal, or in a ``scratch`` database that we
    made ourselves; without either it is a dry run and is rolled back.
    """

    run: str
    environment: str
    intake: Intake
    plan: Plan
    proposal: Proposal | None = None
    approval: Approval | None = None
    scratch: Scratch | None = None
    write: Write = Write.DIFFERENCES

    @property
    def is_approved(self) -> bool:
        """Whether the approval is for this proposal, and proposal and plan are unedited."""
        return (
            self.proposal is not None
            and self.approval is not None
            and self.approval.digest == self.proposal.digest
            and self.proposal.plan == self.plan.digest
            and self.proposal.write is self.write
            and self.proposal.schema == schema.digest(self.intake.survey.schema)
            and digest(replace(self.proposal, digest="")) == self.proposal.digest
            and digest(replace(self.plan, digest="")) == self.plan.digest
        )


BeforeCommit = Callable[[Inside], Report]


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
            request.scratch.require(connection)
        elif commit:
            deployment.require(connection, request.environment)
        reports = Reports("apply", STEPS, journal)
        schema_name = request.intake.mapping.schema_name
        transaction = Transaction(connection, target, schema_name, reports)
        work = _Reimport(transaction, request, before_commit, commit=commit)
        with transaction.in_time():
            applied: Applied = write_transaction(
                connection, work.do, commit=commit, journal=journal
            )
        return work.after_commit(applied) if commit else applied


def settle(target: Postgres, run: str) -> bool:
    """Whether ``run`` was committed; the database is asked once the run's session has ended.

    Raises:
        TargetError: the database cannot be reached, or that session is still there; the run stays
            in doubt.
    """
    with connected(target, "not known yet") as connection:
        wait_for_run_lock(connection, target.lock_wait)
        return registry.was_committed(connection, run)


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
        self._intake = request.intake
        self._mapping = mapping = request.intake.mapping
        self._compare_schema()  # a missing table could not be read below; repeated under the locks
        self._database = Database.read(self._connection, mapping)
        plan, facts = request.plan, request.intake.survey.schema
        self._undo = undo_data.of(request.run, self._database, plan.entities, plan.links, facts)
        self._known = references.declared(self._database)
        wiped = [part.table for part in self._undo.tables]
        self._sequences = sequences.behind(self._connection, mapping.schema_name, wiped)
        self._wanted = {plan.entities[name].table: self._wanted_of(name) for name in plan.entities}

    def do(self) -> Applied:
        """Every step up to COMMIT, in their order.

        As much as possible comes before the locks: from then on the clinic's writers wait. Nobody
        waits for a temporary table, which only our own session sees.
        """
        step = self._transaction.step
        with step("copy into temporary tables"):
            self._load()
        with step("copy aside for undo"):
            same = set(versions.write_down(self._transaction, self._undo.parts))
            foretold = self._copy_aside()
        with step("find what differs"):
            differing = self._find_differing()
        with step("wait for locks"):
            self._lock()
        with step("compare the state before"):
            self._compare_schema()
            # A row that was written since has another version; its table is hashed again.
            same -= {part for part in same if versions.moved(self._transaction, part)}
            self._compare_before(self._request.plan, {part.table for part in same})
            self._require_new_keys()
        deleted, updated, inserted = self._write(differing)
        with step("re-link"):
            undo_data.copy_links(self._transaction, self._undo, self._linked_keys())
            relinked = {link.attachment: self._relink(link) for link in self._undo.links}
        with step("check foreign keys"):  # now, so that COMMIT itself has nothing left to refuse
            self._transaction.execute(sql.SQL("SET CONSTRAINTS ALL IMMEDIATE"))
        with step("fingerprint after"):
            after = {
                part.table: self._after(part, foretold, is_same=part in same)
                for part in self._undo.parts
            }
        with step("checks inside"):
            report = self._checked(after, differing)
            self._expect_rehearsed(after)
            self._expect_foretold(after, foretold)
        with step("remember the run"):
            self._remember(after)
            self._move_sequences()
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
        return undo_data.foretell(self._transaction, self._undo, dict(self._foretelling()))

    def _find_differing(self) -> dict[str, Difference]:
        """Wiped table -> which of its rows are written.

        Stops early if the state is another one, before anybody has waited; it is compared again
        under the locks.
        """
        self._require_before(self._copied())
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
            self._database,
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
        committed = after_commit(applied, waited, self._transaction.timings)
        wiped = [part.table for part in self._undo.tables]
        return replace(committed, warnings=tuple(vacuum(self._transaction, wiped)))

    def _load_incoming(self) -> None:
        plan, folder = self._request.plan, self._intake.folder
        for name, entity in plan.entities.items():
            incoming.load_rows(self._transaction, name, entity.table, folder, entity.file)
        for link in self._undo.links:
            file = plan.links[link.attachment].file
            incoming.load_links(self._transaction, link, folder, file)

    def _compare_schema(self) -> None:
        """Stop unless the schema is the surveyed one; under the locks nobody can change it."""
        was, now = self._intake.survey.schema, schema.describe(self._connection, self._mapping)
        # A copy does without owners, grants, policies, publications and event triggers.
        if self._request.scratch is not None:
            was, now = schema.structure(was), schema.structure(now)
        schema.require_same(
            was,
            now,
            "since the preflight",
            state=ROLLED_BACK,
            next="run 01_preflight again: it shows what the change means",
        )

    def _copied(self) -> dict[str, Fingerprint]:
        """The state before, where rows were copied aside that of the copies."""
        rows = {
            part.table: undo_data.fingerprint_before(self._connection, self._undo, part)
            for part in self._undo.tables
        }
        others = self._request.plan.before.keys() - rows.keys()
        return fingerprints_of(self._database, others) | rows

    def _compare_before(self, plan: Plan, same: Collection[str]) -> None:
        """Stop unless the state is the planned one; the tables ``same`` are as they were copied."""
        self._transaction.check_time()
        others = fingerprints_of(self._database, plan.before.keys() - same)
        self._require_before({table: plan.before[table] for table in same} | others)

    def _after(
        self, part: UndoPart, foretold: Mapping[UndoPart, Fingerprint], *, is_same: bool
    ) -> Fingerprint:
        """The fingerprint of a table as the run leaves it, with every row proven.

        Of a table whose rows were of the ``same`` versions under the locks as when they were
        copied, a row that was not written must still be of that version, and one that was written
        must be as it was foretold. Else every row is hashed again.
        """
        # Nobody could know its rows before: see ``_foretelling``.
        if part not in foretold:
            return undo_data.hash_now(self._transaction, self._undo, part)
        written = self._written(part)
        if (
            is_same
            and written is not None
            and not versions.moved(self._transaction, part, written)
            and (
                # Two values may be stored in two ways, and be printed as one.
                self._is_as_planned(part)
                or undo_data.is_as_foretold(self._transaction, self._undo, part, written)
            )
        ):
            return foretold[part]
        return undo_data.fingerprint_now(self._transaction, part)

    def _written(self, part: UndoPart) -> sql.Composable | None:
        """A query of the keys of rows that are written; None where every row is."""
        if isinstance(part, registry.UndoLinks):
            return incoming.linked_keys(part)
        wanted = self._wanted[part.table]
        return None if wanted.whole else wanted.written

    def _is_as_planned(self, part: UndoPart) -> bool:
        """Whether the rows that were written are stored as the planned ones, which were hashed."""
        if isinstance(part, registry.UndoLinks):
            place = table_name(self._mapping.schema_name, part.table)
            columns = undo_data.hashed_columns(part)
            wanted = incoming.links(part.attachment)
            return differences.are_stored(self._transaction, place, part.key, columns, wanted)
        return differences.are_as_wanted(self._transaction, self._wanted[part.table])

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

    def _require_before(self, now: Mapping[str, Fingerprint]) -> None:
        differ = moved(self._request.plan.before, now)
        if differ:
            raise StopError(
                "Nexus was changed since the preflight\n"
                + "\n".join(f"    {line}" for line in differ),
                state=ROLLED_BACK,
                next="run 01_preflight again: the plan must include what people have changed since",
            )

    def _wanted_of(self, name: str) -> Wanted:
        """The planned rows of an entity, and how its table can be written."""
        entity = self._request.plan.entities[name]
        table, columns = self._database.catalog.tables[entity.table], entity.file.columns
        return Wanted(
            name=name,
            table=entity.table,
            key=table.primary_key[0],
            columns=columns,
            place=incoming.rows(name),
            fixed=differences.fixed_columns(
                self._connection, self._mapping.schema_name, entity.table
            ),
            # What the database fills by itself is only the same if it does it again, in every row.
            whole=self._request.write is Write.ALL or not self._is_complete(entity.table, columns),
        )

    def _is_complete(self, table: str, columns: Collection[str]) -> bool:
        """Whether ``columns`` are all that the table has: the database fills none by itself."""
        return {c.name for c in self._database.catalog.tables[table].columns} == {*columns}

    def _foretelling(self) -> Iterator[tuple[UndoPart, sql.Composable]]:
        """The rows of each table as they will be; without those that nobody can know before."""
        for part in self._undo.tables:
            wanted = self._wanted[part.table]
            if self._is_complete(part.table, wanted.columns):
                yield part, wanted.place
        # Two attachments in one table: neither knows what the other will write into a row.
        shared = Counter(link.table for link in self._undo.links)
        for link in self._undo.links:
            if shared[link.table] == 1:
                written = incoming.links(link.attachment)
                yield link, undo_data.with_links(self._mapping.schema_name, link, written)

    def _differing(self, part: UndoTable) -> Difference:
        self._transaction.let_go_first()
        present = self._undo.before(part)
        return differences.find(self._transaction, self._wanted[part.table], present)

    def _require_new_keys(self) -> None:
        """Stop if the database gave out a key of a new row since the preflight.

        A session that got it may still use it: a sequence does not show who took a number. On a
        copy only we take numbers: the plan is applied to it twice.
        """
        if self._request.scratch is not None:
            return
        entities = self._mapping.wiped_tables()
        for sequence in self._sequences:
            key = self._database.catalog.tables[sequence.table].primary_key
            if not sequence.rises or key != (sequence.column,):
                continue
            query = sql.SQL(
                "SELECT min(i.{key}) FROM {} AS i LEFT JOIN {} AS t USING ({key})"
                " WHERE t.{key} IS NULL"
            ).format(
                incoming.rows(entities[sequence.table]),
                table_name(self._mapping.schema_name, sequence.table),
                key=sql.Identifier(sequence.column),
            )
            first = scalar(self._connection, query)
            given_out = sequences.given_out(self._connection, sequence)
            if first is None or given_out is None or given_out < first:
                continue
            raise StopError(
                f"keys were given out since the preflight: {given_out - first + 1:,} that the plan"
                " gives to new rows",
                where=sequence.what,
                state=ROLLED_BACK,
                next="run 01_preflight again: somebody added rows, or tried to, or this plan was"
                " executed and its COMMIT was lost",
            )

    def _move_sequences(self) -> None:
        """Move sequences past the loaded keys; the last step: a sequence is not rolled back."""
        for sequence in self._sequences if self._commit else ():
            self._transaction.check_time()
            sequences.move_past_keys(self._connection, self._mapping.schema_name, sequence)

    def _relink(self, link: registry.UndoLinks) -> int:
        return self._transaction.execute(
            undo_data.link_update(self._mapping.schema_name, link, incoming.links(link.attachment))
        )

    def _expect_rehearsed(self, after: Mapping[str, Fingerprint]) -> None:
        if self._request.proposal is None:
            return
        differ = moved(self._request.proposal.after, after)
        if differ:
            rows = {
                n: f"{wording.amount(c, 'row differs', 'rows differ')} from the plan"
                for n, c in self._unplanned()
            }
            raise StopError(
                "the result differs from the one that was rehearsed and approved\n"
                + "\n".join(
                    f"    {d}" + (f"; {rows[t]}" if (t := d.partition(":")[0]) in rows else "")
                    for d in differ
                ),
                state=ROLLED_BACK,
                next="keep this record, run 01_preflight again, and compare both records",
            )

    def _expect_foretold(
        self, after: Mapping[str, Fingerprint], foretold: Mapping[UndoPart, Fingerprint]
    ) -> None:
        other = [part.table for part, expected in foretold.items() if after[part.table] != expected]
        if other:
            raise StopError(
                f"the result differs from the plan: {', '.join(sorted(other))}",
                state=ROLLED_BACK,
                next="something in the database changes rows: look for triggers and rules",
            )

    def _unplanned(self) -> Iterator[tuple[str, int]]:
        """Table -> how many rows differ from the row files; slow, so counted only for the error."""
        for name, entity in self._request.plan.entities.items():
            key = sql.Identifier(self._database.catalog.tables[entity.table].primary_key[0])
            query = sql.SQL(
                "SELECT count(*) FROM {} AS t FULL JOIN {} AS i ON t.{key} = i.{key}"
                " WHERE t.{key} IS NULL OR i.{key} IS NULL OR t::text <> i::text"
            ).format(
                table_name(self._mapping.schema_name, entity.table), incoming.rows(name), key=key
            )
            yield entity.table, int(scalar(self._connection, query))

    def _remember_loaded(self) -> None:
        """Save which record became which row; in our own table, so before the locks."""
        if not self._undo.loaded:
            return
        loaded.replace(self._connection, self._intake.folder, self._request.plan.id_map)

    def _remember(self, after: Mapping[str, Fingerprint]) -> None:
        plan = self._request.plan
        row = run_row(self._request, str(plan.scope), plan.before, after, self._undo)
        registry.remember(self._connection, row)
