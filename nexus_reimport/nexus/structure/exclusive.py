"""What tells the rows of a table apart: unique keys and exclusion constraints, whatever their form.

They may compare expressions, have a condition, or a collation and operators of their own.
Expressions, operators and conditions are SQL from PostgreSQL's own catalog, which needs no quoting.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from psycopg import sql

from nexus_reimport.nexus.connection.postgres import Connection, statement


@dataclass(frozen=True, slots=True)
class ExclusiveKey:
    """One of them; ``is_plain`` if it compares columns alone that the database does not fill.

    ``excludes`` if it is an exclusion constraint, whose operators may be others than equality.
    """

    name: str
    parts: tuple[str, ...]
    operators: tuple[str, ...]
    condition: str
    nulls_are_equal: bool
    columns: tuple[str, ...]
    is_plain: bool
    excludes: bool

    @property
    def names(self) -> tuple[sql.Identifier, ...]:
        """The names of the parts in ``compared``."""
        return tuple(sql.Identifier(_part(number)) for number in range(len(self.parts)))

    def may_compare(self, columns: Collection[str]) -> bool:
        """Whether it may tell rows apart by one of ``columns``."""
        return not self.is_plain or not {*self.columns}.isdisjoint(columns)

    def compared(self, place: sql.Composable, *shown: sql.Composable) -> sql.Composed:
        """A query of the rows of ``place`` that it compares: what is ``shown``, then the parts."""
        parts = (
            sql.SQL("({}) AS {}").format(sql.SQL(part), name)
            for name, part in zip(self.names, self.parts, strict=True)
        )
        return sql.SQL("SELECT {} FROM {} WHERE {}").format(
            sql.SQL(", ").join((*shown, *parts)), place, sql.SQL(self.condition)
        )

    def are_alike(self, one: str, other: str) -> sql.Composed:
        """Whether two rows of ``compared``, which are called so, cannot both be there."""
        alike = "{0} {1} {2}"
        if self.nulls_are_equal:
            alike = "({0} {1} {2} OR {0} IS NULL AND {2} IS NULL)"
        return sql.SQL(" AND ").join(
            sql.SQL(alike).format(
                sql.Identifier(one, _part(number)),
                sql.SQL(operator),
                sql.Identifier(other, _part(number)),
            )
            for number, operator in enumerate(self.operators)
        )


def _part(number: int) -> str:
    return f"part_{number}"


def read(connection: Connection, place: sql.Identifier) -> tuple[ExclusiveKey, ...]:
    """All of a table, primary key included."""
    asked = {"table": place.as_string(connection)}
    return tuple(
        ExclusiveKey(name, tuple(parts), tuple(operators), condition, equal, tuple(of), *is_of)
        for name, parts, operators, condition, equal, of, *is_of in connection.execute(
            statement("exclusive_keys"), asked
        )
    )
