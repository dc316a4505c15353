"""The schema as the live catalog has it. Nothing else is trusted: migrations change it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from nexus_reimport.files import private
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus.connection.postgres import Connection, statement, table_name


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type as PostgreSQL writes it, and what a load needs to know.

    ``stored_as`` is the type in whose form its values are printed: that under a domain, and text
    for an enumeration. It is "" in a record of an older version.
    """

    name: str
    type: str
    not_null: bool
    filled_by_database: bool
    generated: bool
    max_length: int | None
    stored_as: str = ""

    @property
    def is_json(self) -> bool:
        """Whether it holds JSON, of either type."""
        return self.type in ("json", "jsonb")


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A unique constraint or index; ``is_plain`` if it has no expression and no condition."""

    name: str
    columns: tuple[str, ...]
    is_plain: bool
    nulls_are_equal: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table: columns in the table's order, the primary key, and all unique keys."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    unique_keys: tuple[UniqueKey, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column ``name``; None if there is none."""
        return next((c for c in self.columns if c.name == name), None)

    def names(self) -> tuple[str, ...]:
        """The columns that a load can fill."""
        return tuple(c.name for c in self.columns if not c.generated)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One foreign key into the schema; ``acts`` if it has an ON DELETE or ON UPDATE action.

    ``refers`` is the schema and table that it names, which may be a partition of ``target``. One
    that is not ``enforced`` says what its column means, and neither checks nor does anything.
    """

    name: str
    schema: str
    table: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    deferrable: bool
    acts: bool
    refers: tuple[str, str]
    match_full: bool
    valid: bool
    enforced: bool


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger or rule that fires in our sessions, on ``table`` or on a partition of it."""

    table: str
    schema: str
    on: str
    name: str
    kind: str  # TRIGGER or RULE


@dataclass(frozen=True, slots=True)
class Catalog:
    """The tables of one schema, with their foreign keys and triggers."""

    schema: str
    tables: dict[str, Table]
    foreign_keys: tuple[ForeignKey, ...]
    triggers: tuple[Trigger, ...]

    def digest(self, tables: Iterable[str]) -> str:
        """A digest of ``tables``: columns, types, keys and what references them."""
        chosen = sorted(set(tables) & set(self.tables))
        # Columns by name: their order depends on the order of migrations, and means nothing.
        content: list[Any] = [
            [name, [[c.name, c.type, c.not_null] for c in sorted_columns(self.tables[name])]]
            for name in chosen
        ]
        content.append(
            [
                [k.name, k.table, k.columns, k.target, k.deferrable, k.acts]
                for k in self.foreign_keys
                if k.target in chosen or k.table in chosen
            ]
        )
        return private.sha256(json.dumps(content).encode())


def sorted_columns(table: Table) -> list[Column]:
    """The columns of ``table``, sorted by name."""
    return sorted(table.columns, key=lambda column: column.name)


def read(connection: Connection, schema: str) -> Catalog:
    """The catalog of ``schema`` as this connection sees it."""
    where = {"schema": schema}
    columns: dict[str, list[Column]] = {}
    for table, *rest in connection.execute(statement("columns"), where):
        columns.setdefault(table, []).append(Column(*rest))
    keys = {t: tuple(k) for t, k in connection.execute(statement("primary_keys"), where)}
    unique: dict[str, list[UniqueKey]] = {}
    for table, name, of, is_plain, nulls_are_equal in connection.execute(
        statement("unique_keys"), where
    ):
        unique.setdefault(table, []).append(UniqueKey(name, tuple(of), is_plain, nulls_are_equal))
    tables = {
        n: Table(n, tuple(c), keys.get(n, ()), tuple(unique.get(n, ()))) for n, c in columns.items()
    }
    rows = connection.execute(statement("foreign_keys"), where)
    foreign = tuple(ForeignKey(*map(_frozen, row)) for row in rows)
    triggers = tuple(Trigger(*row) for row in connection.execute(statement("triggers"), where))
    return Catalog(schema, tables, foreign, triggers)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def content_types(connection: Connection, mapping: FieldMapping) -> dict[str, int]:
    """``app_label.model`` -> id; Django gives other ids in each installation."""
    if not mapping.content_types:
        return {}
    query = sql.SQL("SELECT app_label || '.' || model, id FROM {} ORDER BY id").format(
        table_name(mapping.schema_name, mapping.content_types)
    )
    return {model: int(number) for model, number in connection.execute(query)}
