"""Which rights of the list a role has, object by object.

Through groups, PUBLIC and inheritance, as the server itself decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus import registry
from nexus_reimport.nexus.connection.postgres import Connection, statement
from nexus_reimport.nexus.connection.session import MAINTAIN_SINCE
from nexus_reimport.nexus.registry import OWN_SCHEMA
from nexus_reimport.nexus.rights.rules import RULES, Right
from nexus_reimport.nexus.structure import sequences

# TRUNCATE, since it lets LOCK TABLE pass; a run never truncates, which keeps readers out.
OF_A_TABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")


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
        for name, may_create in self._connection.execute(statement("rights_on_tablespace")):
            yield self.right("tablespace", name, held=may_create)
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
                yield self.right("update", table.quoted, held="UPDATE" in table.held)
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
        # Reading a table that is not there, or not ours to read, would abort the transaction.
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
