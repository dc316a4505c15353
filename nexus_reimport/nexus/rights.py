"""Every right that the project needs in PostgreSQL, and which of them a role has.

``RULES`` is the list, as docs/rights.md shows it: each right with its object, why and at which step
it is needed, and the statement that grants it. ``read`` looks up each right for the role of a
connection, object by object: through groups, PUBLIC and inheritance, as the server itself decides.
``missing`` and ``refusal`` report all missing rights at once.

No right here requires a superuser, or that the role owns a table of the application. What needs no
right is not listed: advisory locks, exported snapshots, session settings, the catalog.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from nexus_reimport import wording
from nexus_reimport.errors import NOTHING_WRITTEN, StopError
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus import registry, sequences
from nexus_reimport.nexus.postgres import Connection, statement
from nexus_reimport.nexus.registry import OWN_SCHEMA

OF_A_TABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
MAINTAIN_SINCE = 170000  # server_version_num: PostgreSQL 17 introduced the privilege
_SHOWN = 8  # objects named in one line of a message


class Task(StrEnum):
    """What the rights are for: the commands that need them."""

    RUN = "run"
    RELINK = "relink"
    FINISH = "finish"
    ROLLBACK = "rollback"
    RESTORE = "restore"
    ADOPT = "adopt"
    SEAL = "seal"
    PURGE = "purge-undo"


READING = (Task.RUN, Task.RELINK, Task.ROLLBACK)
LOADING = (Task.RUN, Task.ROLLBACK)
EVERY = tuple(Task)


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of right.

    ``kind`` is GRANT's word for the object; if no GRANT gives the right, ``template`` is the
    statement. ``without`` says what a run does without the right; "" if it stops.
    """

    privilege: str
    on: str
    why: str
    step: str
    tasks: tuple[Task, ...]
    kind: str = ""
    template: str = ""
    without: str = ""

    def statement(self, privileges: Iterable[str], objects: Iterable[str], role: str) -> str:
        """The statement that grants ``privileges`` on ``objects`` (quoted names) to ``role``."""
        listed = ", ".join(objects)
        if self.template:
            return self.template.format(object=listed, role=role)
        return f"GRANT {', '.join(privileges)} ON {self.kind} {listed} TO {role};"


@dataclass(frozen=True, slots=True)
class Right:
    """One right on one object, and whether the role has it; names are quoted for SQL.

    ``place`` is the server on which to run the statement; "" for the database itself.
    """

    rule: Rule
    privilege: str
    object: str
    role: str
    held: bool
    place: str = ""

    @property
    def statement(self) -> str:
        """The statement that grants it."""
        return self.rule.statement([self.privilege], [self.object], self.role)


def _rules() -> dict[str, Rule]:
    """The list, in the order in which it is shown."""
    undo = "each run stores its undo data in a separate schema"
    return {
        "connect": Rule(
            "CONNECT",
            "the database",
            "every command connects",
            "the first connection",
            EVERY,
            "DATABASE",
        ),
        "create": Rule(
            "CREATE",
            "the database",
            undo,
            "02: before the locks",
            (Task.RUN, Task.RELINK),
            "DATABASE",
        ),
        "create_own": Rule(
            "CREATE",
            "the database",
            "our own schema is created if it is missing",
            "adopt",
            (Task.ADOPT,),
            "DATABASE",
        ),
        "temporary": Rule(
            "TEMPORARY",
            "the database",
            "rows are first loaded into temporary tables",
            "02: before the locks; 90: the preview",
            READING,
            "DATABASE",
        ),
        "usage": Rule(
            "USAGE",
            "each schema that has tables or sequences",
            "everything in it is dumped",
            "01: survey and backup",
            (*READING, Task.FINISH),
            "SCHEMA",
        ),
        "select": Rule(
            "SELECT",
            "each table of the mapping's schema (single columns are not enough)",
            "it is counted, compared and dumped",
            "01: survey and backup; 03; 90",
            (*READING, Task.FINISH),
            "TABLE",
        ),
        "dump": Rule(
            "SELECT",
            "each table of every other schema (of an extension's: its configuration)",
            "pg_dump dumps the whole database",
            "01 and 90: the backup",
            READING,
            "TABLE",
        ),
        "dump_sequence": Rule(
            "SELECT",
            "each sequence",
            "it is dumped, and new integer keys continue from its value",
            "01: survey and backup; 90",
            READING,
            "SEQUENCE",
        ),
        "dump_object": Rule(
            "SELECT",
            "each large object",
            "pg_dump dumps it",
            "01 and 90: the backup",
            READING,
            "LARGE OBJECT",
        ),
        "every_row": Rule(
            "BYPASSRLS",
            "the role, if row level security of a table hides rows from it",
            "a count, a hash and a dump must see every row",
            "01: survey and backup",
            (*READING, Task.FINISH),
            template="ALTER ROLE {role} BYPASSRLS;",
        ),
        "insert": Rule(
            "INSERT",
            "each wiped table",
            "rows are loaded, or restored",
            "02; 90",
            LOADING,
            "TABLE",
        ),
        "delete": Rule(
            "DELETE",
            "each wiped table (LOCK TABLE IN EXCLUSIVE MODE requires it too)",
            "rows are wiped, and the table is locked",
            "02; 90",
            LOADING,
            "TABLE",
        ),
        "link": Rule(
            "UPDATE (COLUMNS)",
            "the link columns of each linking table, and no other column",
            "links of documents and images are fixed",
            "02; 90",
            READING,
            "TABLE",
        ),
        "lock": Rule(
            "MAINTAIN",
            "each linking table. LOCK TABLE IN EXCLUSIVE MODE requires a right on the"
            " whole table; UPDATE, DELETE or TRUNCATE are enough too. Before PostgreSQL 17 there"
            " is no MAINTAIN, and UPDATE is required instead",
            "the table is locked",
            "02; 90",
            READING,
            "TABLE",
        ),
        "sequence": Rule(
            "UPDATE",
            "each sequence that fills a column of a wiped table",
            "the application must not give out a key that was loaded (setval)",
            "02",
            (Task.RUN,),
            "SEQUENCE",
        ),
        "type": Rule(
            "USAGE",
            "each type of a column of a wiped or linking table (PUBLIC has it by default)",
            "temporary tables have the same columns",
            "02; 90",
            READING,
            "TYPE",
        ),
        "function": Rule(
            "EXECUTE",
            "each function in a check, default, generated column or index of a wiped or"
            " linking table (PUBLIC has it by default)",
            "the server calls it for each row",
            "02; 90",
            READING,
            "FUNCTION",
        ),
        "own_usage": Rule(
            "USAGE",
            "our own schema, if it exists",
            "it holds the marker and the runs",
            "the first connection",
            tuple(t for t in Task if t is not Task.RESTORE),
            "SCHEMA",
        ),
        "own_create": Rule(
            "CREATE",
            "our own schema, if it exists",
            "its missing tables are created",
            "adopt; 02; 90",
            (*READING, Task.ADOPT),
            "SCHEMA",
        ),
        "own_table": Rule(
            "ownership",
            "each table of our own schema",
            "it is read, written, and altered if an older version created it",
            "adopt; 02; 90; seal",
            tuple(t for t in Task if t is not Task.RESTORE),
            template="ALTER TABLE {object} OWNER TO {role};",
        ),
        "undo_usage": Rule(
            "USAGE",
            "the schema of the latest run's undo data",
            "rows are restored from it",
            "90",
            (Task.ROLLBACK,),
            "SCHEMA",
        ),
        "undo_select": Rule(
            "SELECT",
            "each table of the latest run's undo data",
            "rows are restored from it",
            "90",
            (Task.ROLLBACK,),
            "TABLE",
        ),
        "undo_drop": Rule(
            "ownership",
            "the schema of undo data that is dropped",
            "only its owner may drop it",
            "purge-undo",
            (Task.PURGE,),
            template="ALTER SCHEMA {object} OWNER TO {role};",
        ),
        "rehearse": Rule(
            "CREATEDB",
            "the role, on the server for rehearsals",
            "the backup is restored into a scratch database, which is then dropped",
            "01: the rehearsal",
            (Task.RUN, Task.RELINK),
            template="ALTER ROLE {role} CREATEDB;",
            without="the rehearsal runs in a real transaction that is rolled back, and does not"
            " prove the backup; prod needs a waiver for that",
        ),
        "restore": Rule(
            "CREATEDB",
            "the role",
            "the dump is restored into a new database",
            "restore",
            (Task.RESTORE,),
            template="ALTER ROLE {role} CREATEDB;",
        ),
        "later_table": Rule(
            "SELECT",
            "tables that the owner of the application's tables creates later",
            "a migration that creates a table must not stop the next run",
            "01, after a migration",
            READING,
            template="ALTER DEFAULT PRIVILEGES {object} GRANT SELECT ON TABLES TO {role};",
            without="after such a migration the run stops until SELECT is granted",
        ),
        "later_sequence": Rule(
            "SELECT",
            "sequences that the owner of the application's tables creates later",
            "a migration that creates a sequence must not stop the next run",
            "01, after a migration",
            READING,
            template="ALTER DEFAULT PRIVILEGES {object} GRANT SELECT ON SEQUENCES TO {role};",
            without="after such a migration the run stops until SELECT is granted",
        ),
        "vacuum": Rule(
            "MAINTAIN",
            "each wiped table (its owner has it; since PostgreSQL 17)",
            "VACUUM (ANALYZE) runs after COMMIT",
            "02: after COMMIT",
            (Task.RUN,),
            "TABLE",
            without="a warning is shown, and autovacuum does it later",
        ),
        "activity": Rule(
            "membership",
            "pg_read_all_stats",
            "shows when other sessions were last active",
            "01: who else writes",
            (Task.RUN, Task.RELINK),
            template="GRANT {object} TO {role};",
            without="their times are not shown",
        ),
        "server": Rule(
            "EXECUTE",
            "pg_control_system() (PUBLIC has it by default)",
            "distinguishes this server from a copy of it",
            "adopt and every first connection",
            EVERY,
            "FUNCTION",
            without="a copy on another server, with the same name and oid, is taken for the"
            " original",
        ),
    }


RULES = _rules()


@dataclass(frozen=True, slots=True)
class _Relation:
    schema: str
    name: str
    quoted: str
    is_sequence: bool
    held: tuple[str, ...]
    is_own: bool
    hides_rows: bool


class _RightsReader:
    """Looks up the rights of one connection's role."""

    def __init__(self, connection: Connection, mapping: FieldMapping) -> None:
        self._connection, self._mapping = connection, mapping
        (row,) = connection.execute(statement("rights_of_database")).fetchall()
        self.role, self._database, self.version, self.may_create_databases = row[:4]
        self._sees_every_row, *self._database_rights, self._reads_stats, self._server = row[4:]
        asked: dict[str, object] = {
            "privileges": list(table_privileges(self.version)),
            "schema": mapping.schema_name,
        }
        self._relations = [
            _Relation(s, n, q, is_sequence, tuple(held), is_own, hides)
            for s, n, q, is_sequence, held, is_own, hides in connection.execute(
                statement("rights_on_relations"), asked
            )
        ]
        filling = sequences.behind(connection, mapping.schema_name, mapping.wiped_tables())
        self._filling = {(sequence.schema, sequence.name) for sequence in filling}
        self._latest_undo = self._undo_of_the_latest_run()

    def right(self, rule: str, on: str, *, held: bool, privilege: str = "") -> Right:
        """One right of the list."""
        known = RULES[rule]
        return Right(known, privilege or known.privilege, on, self.role, held)

    def all(self) -> Iterator[Right]:
        """Every right, in the order of the list."""
        connect, create, temporary = self._database_rights
        yield self.right("connect", self._database, held=connect)
        yield self.right("create", self._database, held=create)
        yield self.right("temporary", self._database, held=temporary)
        yield from self._schemas(may_create=create)
        for relation in self._relations:
            yield from self._sequence(relation) if relation.is_sequence else self._table(relation)
        yield from self._links()
        yield from self._parts()
        yield from self._large_objects()
        if any(r.hides_rows for r in self._relations):
            yield self.right("every_row", self.role, held=self._sees_every_row)
        yield from self._later()
        yield self.right("restore", self.role, held=self.may_create_databases)
        yield self.right("activity", "pg_read_all_stats", held=self._reads_stats)
        yield self.right("server", "pg_catalog.pg_control_system()", held=self._server)

    def _schemas(self, *, may_create: bool) -> Iterator[Right]:
        used = {r.schema for r in self._relations} | {self._mapping.schema_name}
        schemas = self._connection.execute(statement("rights_on_schemas")).fetchall()
        if not any(name == OWN_SCHEMA for name, *_ in schemas):
            yield self.right("create_own", self._database, held=may_create)
        for name, quoted, usage, create, is_own in schemas:
            if name == OWN_SCHEMA:
                yield self.right("own_usage", quoted, held=usage)
                yield self.right("own_create", quoted, held=create)
            elif name.startswith(registry.UNDO_PREFIX):
                if name == self._latest_undo:
                    yield self.right("undo_usage", quoted, held=usage)
                yield self.right("undo_drop", quoted, held=is_own)
            elif name in used:
                yield self.right("usage", quoted, held=usage)

    def _table(self, table: _Relation) -> Iterator[Right]:
        readable = "SELECT" in table.held
        if table.schema == OWN_SCHEMA:
            yield self.right("own_table", table.quoted, held=table.is_own)
        elif table.schema.startswith(registry.UNDO_PREFIX):
            if table.schema == self._latest_undo:
                yield self.right("undo_select", table.quoted, held=readable)
        elif table.schema != self._mapping.schema_name:
            yield self.right("dump", table.quoted, held=readable)
        else:
            yield self.right("select", table.quoted, held=readable)
            if table.name in self._mapping.wiped_tables():
                yield self.right("insert", table.quoted, held="INSERT" in table.held)
                yield self.right("delete", table.quoted, held="DELETE" in table.held)
                if self.version >= MAINTAIN_SINCE:
                    yield self.right("vacuum", table.quoted, held="MAINTAIN" in table.held)

    def _sequence(self, sequence: _Relation) -> Iterator[Right]:
        if not sequence.schema.startswith(registry.UNDO_PREFIX):
            yield self.right("dump_sequence", sequence.quoted, held="SELECT" in sequence.held)
        if (sequence.schema, sequence.name) in self._filling:
            yield self.right("sequence", sequence.quoted, held="UPDATE" in sequence.held)

    def _links(self) -> Iterator[Right]:
        schema = self._mapping.schema_name
        tables = {r.name: r for r in self._relations if r.schema == schema and not r.is_sequence}
        enough = lock_privileges(self.version)
        for name, link in self._mapping.link_tables().items():
            if name not in tables:
                continue
            table = tables[name]
            linking = [c for c in (link.object, link.content_type) if c]
            asked = {"schema": schema, "table": name, "columns": linking}
            columns = self._connection.execute(statement("rights_on_columns"), asked).fetchall()
            yield self.right(
                "link",
                table.quoted,
                held=all(held for _, held in columns),
                privilege=f"UPDATE ({', '.join(column for column, _ in columns)})",
            )
            yield self.right(
                "lock",
                table.quoted,
                held=bool({*enough} & {*table.held}),
                privilege="MAINTAIN" if "MAINTAIN" in enough else "UPDATE",
            )

    def _parts(self) -> Iterator[Right]:
        """Types and functions that PUBLIC may no longer use; all others are allowed anyway."""
        tables = [*self._mapping.wiped_tables(), *self._mapping.link_tables()]
        asked = {"schema": self._mapping.schema_name, "tables": tables}
        for kind, name in self._connection.execute(statement("rights_on_parts"), asked):
            yield self.right(kind.lower(), name, held=False)

    def _large_objects(self) -> Iterator[Right]:
        """One right for all unreadable large objects: there may be many thousands."""
        rows = self._connection.execute(statement("rights_on_large_objects")).fetchall()
        if rows:
            yield self.right(
                "dump_object", ", ".join(str(number) for (number,) in rows), held=False
            )

    def _later(self) -> Iterator[Right]:
        """Default privileges for tables and sequences that a migration creates."""
        asked = {"schema": self._mapping.schema_name}
        for owner, schema, kind, held in self._connection.execute(statement("rights_later"), asked):
            rule = "later_table" if kind == "r" else "later_sequence"
            yield self.right(rule, f"FOR ROLE {owner} IN SCHEMA {schema}", held=held)

    def _undo_of_the_latest_run(self) -> str:
        """The schema of the undo data that a rollback would use; "" if there is none to see."""
        ours = {r.name: r for r in self._relations if r.schema == OWN_SCHEMA}
        if registry.RUNS_NAME not in ours or not ours[registry.RUNS_NAME].is_own:
            return ""
        standing = registry.standing(self._connection)
        return standing[0].undo.schema if standing and standing[0].undo else ""


def table_privileges(version: int) -> tuple[str, ...]:
    """The privileges that a table can have on a server of ``version`` (server_version_num)."""
    return (*OF_A_TABLE, "MAINTAIN") if version >= MAINTAIN_SINCE else OF_A_TABLE


def lock_privileges(version: int) -> tuple[str, ...]:
    """The privileges of which LOCK TABLE IN EXCLUSIVE MODE requires one, on the whole table.

    Source: PostgreSQL 13 to 18, LOCK, "Notes".
    """
    return tuple(p for p in table_privileges(version) if p not in ("SELECT", "INSERT"))


def read(
    connection: Connection, mapping: FieldMapping, rehearsals: Connection | None = None
) -> tuple[Right, ...]:
    """Every right of the list for the role of ``connection``, and whether the role has it.

    ``rehearsals`` is a connection to the server on which copies are made, if it is another one.
    """
    rights = list(_RightsReader(connection, mapping).all())
    server = rehearsals or connection
    (row,) = server.execute(statement("rights_of_database")).fetchall()
    place = f"server {server.info.host}:{server.info.port}" if rehearsals else ""
    rule = RULES["rehearse"]
    rights.append(Right(rule, rule.privilege, row[0], row[0], row[3], place))
    order = list(RULES.values())
    return tuple(sorted(rights, key=lambda right: order.index(right.rule)))


def missing(rights: Iterable[Right], task: Task, also: Collection[Rule] = ()) -> tuple[Right, ...]:
    """The rights that the role lacks and without which ``task`` stops.

    ``also`` are optional rules that this run requires nevertheless.
    """
    return tuple(
        right
        for right in rights
        if task in right.rule.tasks
        and not right.held
        and (not right.rule.without or right.rule in also)
    )


def lines(lacking: Iterable[Right]) -> tuple[tuple[str, str], ...]:
    """Pairs (what is missing and why, the statement that grants it), as few as possible.

    Rights on one object are joined, then objects with the same rights: a person pastes each
    statement by hand.
    """
    by_object: dict[tuple[str, ...], list[Right]] = {}
    for right in lacking:
        rule = right.rule
        key = (rule.kind, rule.template, right.role, right.place, right.object)
        by_object.setdefault(key, []).append(right)
    alike: dict[tuple[str, ...], list[list[Right]]] = {}
    for (*kind, on), rights in by_object.items():
        only = on if rights[0].rule.template else ""  # such a statement takes one object
        same = (*kind, only, *(r.privilege + r.rule.why for r in rights))
        alike.setdefault(same, []).append(rights)
    return tuple(_line(group) for group in alike.values())


def _line(group: list[list[Right]]) -> tuple[str, str]:
    """The line for objects on which the same rights are missing."""
    first = group[0]
    privileges = tuple(dict.fromkeys(r.privilege for r in first))
    reasons = "; ".join(dict.fromkeys(r.rule.why for r in first))
    objects = [rights[0].object for rights in group]
    shown = wording.some(objects, shown=_SHOWN)
    kind = f"{first[0].rule.kind.lower()} " if first[0].rule.kind else ""
    place = f", {first[0].place}" if first[0].place else ""
    what = f"{', '.join(privileges)} on {kind}{shown}{place}: {reasons}"
    return what, first[0].rule.statement(privileges, objects, first[0].role)


def refusal(
    lacking: Iterable[Right], where: str, state: str = NOTHING_WRITTEN, what: str = ""
) -> StopError:
    """The error that names all of ``lacking`` at once, each with its statement."""
    rights = tuple(lacking)
    pairs = lines(rights)
    return StopError(
        (f"{what}\n" if what else "")
        + f"{len(rights)} right(s) are missing for role {rights[0].role}\n"
        + "\n".join(f"    {what_and_why}" for what_and_why, _ in pairs),
        where=where,
        state=state,
        next="have an administrator run these statements in that database, then run this again\n"
        + "\n".join(f"    {granting}" for _, granting in pairs),
    )
