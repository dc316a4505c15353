"""Does what the plan says, in one transaction, and nothing else: the only writer of clinic data.

Order: session fixed; row files into temporary tables, before any lock; EXCLUSIVE locks; the state
before compared with the plan's; copies into the undo schema; DELETE children first, INSERT parents
first; links mended; constraints checked; the checks inside; the state after compared with the
rehearsed one; the run's row; COMMIT.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from nexus_reimport import rowfile
from nexus_reimport.errors import StopError, TargetError
from nexus_reimport.gate import moved
from nexus_reimport.mapping import Mapping as Nexus
from nexus_reimport.model import Applied, Approval, Plan, Proposal, Report, digest
from nexus_reimport.settings import Postgres
from nexus_reimport.target import catalog as catalogs
from nexus_reimport.target import deployment
from nexus_reimport.target.catalog import Catalog
from nexus_reimport.target.fingerprint import Fingerprint
from nexus_reimport.target.postgres import (
    OWN_SCHEMA,
    SESSION,
    UNDO_SCHEMA,
    Connection,
    Deadline,
    advisory_lock,
    connected,
    copy_in,
    lock_tables,
    names,
    scalar,
    statement,
    table_name,
    writing_transaction,
)
from nexus_reimport.target.state import Role, fingerprints_now

STEPS = 12  # as timed, COMMIT included
LOCK_KEY = 0x6E65787573  # "nexus"
ROLLED_BACK = "rolled back, the database is as it was"
Writes = Mapping[str, tuple[int, int, int]]  # table -> rows inserted, updated, deleted
BeforeCommit = Callable[[Connection, Catalog, Mapping[str, Fingerprint], Writes], Report]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done: the plan and its private folder, and under which run.

    Without ``proposal`` and ``approval`` the transaction is a dry run and is rolled back.
    """

    run: str
    environment: str
    plan: Plan
    folder: Path
    proposal: Proposal | None = None
    approval: Approval | None = None

    @property
    def is_approved(self) -> bool:
        """Whether the approval is of this very proposal."""
        return (
            self.proposal is not None
            and self.approval is not None
            and self.approval.digest == self.proposal.digest
            and self.proposal.plan == self.plan.digest
            and digest(replace(self.proposal, digest="")) == self.proposal.digest
            and digest(replace(self.plan, digest="")) == self.plan.digest
        )


def apply(
    target: Postgres,
    mapping: Nexus,
    order: Order,
    before_commit: BeforeCommit,
    *,
    commit: bool,
    tell: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
) -> Applied:
    """Wipe, load, re-link and check in one transaction; COMMIT only if ``commit`` and approved.

    ``tell`` hears of COMMIT as it happens, for the journal: "committing", then "committed".

    Raises:
        StopError: not approved, not this environment's database, another state than planned, or a
            check inside said no.
        Busy: another run, or writers that did not let us in.
        InDoubt: the connection was lost at COMMIT.
        TargetError: PostgreSQL refused. All but InDoubt leave the database as it was.
    """
    if commit and not order.is_approved:
        raise StopError(
            "this plan has no approval of its own", next="run 01_preflight, approve its digest"
        )
    with connected(target, ROLLED_BACK) as connection, advisory_lock(connection, LOCK_KEY):
        if commit:
            deployment.require(connection, order.environment)
        work = _Work(connection, target, mapping, order, before_commit, progress, commit=commit)
        applied: Applied = writing_transaction(connection, work.do, commit=commit, tell=tell)
        return work.after_commit(applied) if commit else applied


def settle(target: Postgres, run: str) -> bool:
    """Whether ``run`` was committed, asked of the database once nobody is committing any more.

    Raises:
        TargetError: the database cannot be reached; the run stays in doubt.
    """
    with connected(target, "not known yet") as connection:
        if not _is_over(connection):
            raise TargetError(
                "the run's own session still holds its lock: its COMMIT may be on its way",
                state="not known yet",
                next=f"wait a minute, then ask again: nexus-reimport settle, run {run}",
            )
        if scalar(connection, "SELECT to_regclass(%s)", (f"{OWN_SCHEMA}.runs",)) is None:
            return False
        query = sql.SQL("SELECT count(*) FROM {} WHERE run = %s")
        return bool(scalar(connection, query.format(table_name(OWN_SCHEMA, "runs")), (run,)))


def _is_over(connection: Connection) -> bool:
    """Whether nobody is in the writing transaction any more; waits ten seconds for it."""
    for _ in range(100):
        if scalar(connection, "SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,)):
            connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))
            return True
        time.sleep(0.1)
    return False


class _Work:
    """The steps of the transaction, timed."""

    def __init__(
        self,
        connection: Connection,
        target: Postgres,
        mapping: Nexus,
        order: Order,
        before_commit: BeforeCommit,
        progress: Progress | None,
        *,
        commit: bool,
    ) -> None:
        self._connection, self._target, self._mapping = connection, target, mapping
        self._commit = commit
        self._order, self._before_commit = order, before_commit
        self._progress = progress
        self._catalog: Catalog = catalogs.read(connection, mapping.schema_name)
        self._timings: dict[str, float] = {}
        self._locked_at = 0.0
        self._deadline: Deadline | None = None

    def do(self, connection: Connection) -> Applied:
        """All of it, up to COMMIT."""
        plan = self._order.plan
        at_start = self._writes()
        with self._timed("copy into temporary tables"):
            self._fix_session()
            self._own_schema()
            self._load_temporary()
            self._remember_loaded()
        with self._timed("wait for locks"):
            tables = [*self._mapping.wiped_tables(), *self._mapping.link_tables()]
            places = [table_name(self._mapping.schema_name, t) for t in tables]
            lock_tables(connection, places, self._target.lock_wait)
        self._locked_at = time.monotonic()
        self._deadline = Deadline(connection, self._target.max_writers_wait)
        with self._timed("compare the state before"):
            self._compare_before(plan)
        connection.execute("SET CONSTRAINTS ALL DEFERRED")
        with self._timed("copy aside for undo"):
            self._copy_aside()
        with self._timed("delete"):
            deleted = self._delete()
        with self._timed("insert"):
            inserted = self._insert()
        with self._timed("re-link"):
            relinked = {name: self._relink(name) for name in plan.links}
        with self._timed("check foreign keys"):
            self._bounded(sql.SQL("SET CONSTRAINTS ALL IMMEDIATE"))
        with self._timed("fingerprint after"):
            after = self._fingerprints()
        with self._timed("checks inside"):
            writes = _since(at_start, self._writes())
            report = self._before_commit(connection, self._catalog, after, writes)
            _stop_if_blocked(report)
            self._expect_rehearsed(after)
        with self._timed("remember the run"):
            self._remember(after)
        return Applied(
            committed=False,
            at=datetime.now(UTC),
            deleted=deleted,
            inserted=inserted,
            relinked=relinked,
            after=after,
            writers_waited=time.monotonic() - self._locked_at,
            timings=self._timings,
            report=report,
        )

    def after_commit(self, applied: Applied) -> Applied:
        """``applied`` with what is only known once the locks are gone."""
        waited = time.monotonic() - self._locked_at
        self._timings["commit"] = waited - applied.writers_waited
        self._tell()
        warnings = tuple(self._vacuum())
        return replace(
            applied,
            committed=True,
            at=datetime.now(UTC),
            writers_waited=waited,
            timings=dict(self._timings),
            warnings=warnings,
        )

    def _vacuum(self) -> Iterator[str]:
        """VACUUM (ANALYZE) of the wiped tables; a failure is a warning, the data is committed."""
        for table in self._mapping.wiped_tables():
            place = table_name(self._mapping.schema_name, table)
            try:
                self._connection.execute("SET statement_timeout = '10min'")
                self._connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(place))
            except psycopg.Error as error:
                yield f"VACUUM (ANALYZE) {table} failed: SQLSTATE {error.sqlstate}; run it by hand"

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._timings[step] = time.monotonic() - began
        self._tell()

    def _tell(self) -> None:
        if self._progress:
            self._progress(len(self._timings), STEPS)

    def _bounded(self, query: sql.SQL | sql.Composed) -> int:
        """Execute one statement within what is left of ``max_writers_wait``; its row count."""
        if self._deadline:
            self._deadline.check()
        return self._connection.execute(query).rowcount

    def _fix_session(self) -> None:
        for name, value in SESSION.items():
            self._connection.execute(
                sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(name), sql.Literal(value))
            )

    def _own_schema(self) -> None:
        self._connection.execute(statement("own_schema"))
        self._connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}").format(
                sql.Identifier(UNDO_SCHEMA)
            )
        )

    def _load_temporary(self) -> None:
        order, connection = self._order, self._connection
        for name, entity in order.plan.entities.items():
            incoming = _incoming(name)
            connection.execute(
                sql.SQL("CREATE TEMP TABLE {} (LIKE {}) ON COMMIT DROP").format(
                    incoming, table_name(self._mapping.schema_name, entity.table)
                )
            )
            copy_in(connection, incoming, order.folder, entity.file)
        for name, link in order.plan.links.items():
            incoming = _incoming(f"link_{name}")
            columns = [sql.Identifier(c) for c in self._link_columns(name)]
            connection.execute(
                sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {}"
                        " WITH NO DATA").format(
                    incoming, sql.SQL(", ").join(columns),
                    table_name(self._mapping.schema_name, link.table),
                )
            )  # fmt: skip
            command = sql.SQL("COPY {} FROM STDIN").format(incoming)
            with connection.cursor() as cursor, cursor.copy(command) as copy:
                for row in rowfile.read(order.folder, link.file):
                    copy.write_row(row[: len(columns)])
            connection.execute(sql.SQL("ANALYZE {}").format(incoming))

    def _link_columns(self, attachment: str) -> tuple[str, ...]:
        """Key, object and, for a generic key, content type of the table that holds the link."""
        spec = self._mapping.attachments[attachment]
        key = self._catalog.tables[spec.link_table].primary_key[0]
        link = spec.link
        return (key, link.object, link.content_type) if link.content_type else (key, link.object)

    def _writes(self) -> dict[str, tuple[int, int, int]]:
        schema = {"schema": self._mapping.schema_name}
        rows = self._connection.execute(statement("writes"), schema)
        return {table: (i, u, d) for table, i, u, d in rows}

    def _compare_before(self, plan: Plan) -> None:
        differ = moved(plan.before, self._fingerprints())
        if differ:
            raise StopError(
                "Nexus was changed since the preflight\n"
                + "\n".join(f"    {line}" for line in differ),
                state=ROLLED_BACK,
                next="run 01_preflight again: what was booked or edited since must be in the plan",
            )

    def _fingerprints(self) -> dict[str, Fingerprint]:
        if self._deadline:
            self._deadline.check()
        return fingerprints_now(
            self._connection, self._mapping, self._catalog, Role.WIPED, Role.LINK
        )

    def _copy_aside(self) -> None:
        schema = self._mapping.schema_name
        for table in self._mapping.wiped_tables():
            self._bounded(
                sql.SQL("CREATE TABLE {} AS TABLE {}").format(
                    table_name(UNDO_SCHEMA, table), table_name(schema, table)
                )
            )
        for name, link in self._order.plan.links.items():
            key, *rest = self._link_columns(name)
            self._bounded(
                sql.SQL("CREATE TABLE {} AS SELECT {} FROM {} WHERE {} IN (SELECT {} FROM {})")
                .format(
                    table_name(UNDO_SCHEMA, f"link_{name}"), names((key, *rest)),
                    table_name(schema, link.table), sql.Identifier(key), sql.Identifier(key),
                    _incoming(f"link_{name}"),
                )
            )  # fmt: skip

    def _delete(self) -> dict[str, int]:
        children_first = reversed(self._mapping.wiped_tables())
        return {
            table: self._bounded(
                sql.SQL("DELETE FROM {}").format(table_name(self._mapping.schema_name, table))
            )
            for table in children_first
        }

    def _insert(self) -> dict[str, int]:
        done = {}
        for name, entity in self._order.plan.entities.items():
            columns = names(entity.file.columns)
            done[entity.table] = self._bounded(
                sql.SQL(
                    "INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {}"
                ).format(
                    table_name(self._mapping.schema_name, entity.table),
                    _incoming(name),
                    columns=columns,
                )
            )
            self._advance_sequence(entity.table)
        return done

    def _advance_sequence(self, table: str) -> None:
        """An integer key's own sequence must not give out a key that we loaded.

        A sequence is not rolled back: it is never lowered, and a dry run leaves it alone.
        """
        if not self._commit:
            return
        place = table_name(self._mapping.schema_name, table)
        key = self._catalog.tables[table].primary_key[0]
        full = place.as_string(self._connection)
        sequence = scalar(self._connection, "SELECT pg_get_serial_sequence(%s, %s)", (full, key))
        if sequence:
            self._bounded(
                sql.SQL(
                    "SELECT setval({name}, greatest((SELECT max({key}) FROM {table}), last_value))"
                    " FROM {sequence} WHERE last_value < (SELECT max({key}) FROM {table})"
                ).format(
                    name=sql.Literal(sequence),
                    key=sql.Identifier(key),
                    table=place,
                    sequence=_sequence(sequence),
                )
            )

    def _relink(self, attachment: str) -> int:
        key, *columns = self._link_columns(attachment)
        assignments = sql.SQL(", ").join(
            sql.SQL("{0} = incoming.{0}").format(sql.Identifier(column)) for column in columns
        )
        return self._bounded(
            sql.SQL("UPDATE {} AS t SET {} FROM {} AS incoming WHERE t.{key} = incoming.{key}")
            .format(
                table_name(self._mapping.schema_name, self._order.plan.links[attachment].table),
                assignments, _incoming(f"link_{attachment}"), key=sql.Identifier(key),
            )
        )  # fmt: skip

    def _expect_rehearsed(self, after: Mapping[str, Fingerprint]) -> None:
        if self._order.proposal is None:
            return
        differ = moved(self._order.proposal.after, after)
        if differ:
            raise StopError(
                "the result is not the one that was rehearsed and approved\n"
                + "\n".join(f"    {line}" for line in differ),
                state=ROLLED_BACK,
                next="keep this record, run 01_preflight again, and compare the two",
            )

    def _remember_loaded(self) -> None:
        """Which record became which row: in a table of our own, so before anyone must wait."""
        loaded = table_name(OWN_SCHEMA, "loaded")
        self._connection.execute(sql.SQL("DELETE FROM {}").format(loaded))
        copy_in(self._connection, loaded, self._order.folder, self._order.plan.memory)

    def _remember(self, after: Mapping[str, Fingerprint]) -> None:
        order = self._order
        approval, proposal = order.approval, order.proposal
        self._connection.execute(
            sql.SQL(
                "INSERT INTO {} (run, environment, digest, approved_by, before, after)"
                " VALUES (%s, %s, %s, %s, %s, %s)"
            ).format(table_name(OWN_SCHEMA, "runs")),
            (
                order.run,
                order.environment,
                proposal.digest if proposal else "",
                approval.who if approval else "",
                Jsonb(_plain(order.plan.before)),
                Jsonb(_plain(after)),
            ),
        )


def _sequence(full_name: str) -> sql.Identifier:
    """The name that pg_get_serial_sequence gives, quoted anew."""
    return sql.Identifier(*(part.strip('"') for part in full_name.split(".")))


def _incoming(name: str) -> sql.Identifier:
    return sql.Identifier("pg_temp", f"incoming_{name}")


def _since(start: Writes, end: Writes) -> Writes:
    """What was written between the two; the server may count earlier work of this session too."""
    made = {}
    for table, (inserted, updated, deleted) in end.items():
        then = start.get(table, (0, 0, 0))
        made[table] = (inserted - then[0], updated - then[1], deleted - then[2])
    return made


def _plain(prints: Mapping[str, Fingerprint]) -> dict[str, list[int | str]]:
    return {table: [found.rows, found.digest] for table, found in prints.items()}


def _stop_if_blocked(report: Report) -> None:
    if report.passed:
        return
    listed = "\n".join(
        f"    {r.check}: {r.offending:,} of {r.looked_at:,}"
        + (f" (e.g. {', '.join(r.sample)})" if r.sample else "")
        for r in report.blocking
    )
    raise StopError(
        f"{len(report.blocking)} check(s) inside the transaction said no\n{listed}",
        state=ROLLED_BACK,
        next="read each claim in the report, mend the cause, run 01_preflight again",
    )
