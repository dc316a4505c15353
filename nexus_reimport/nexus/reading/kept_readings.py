"""What was read of a copy, kept for as long as an open transaction cannot have changed it.

Testing the verification reads one copy hundreds of times, each time with something little changed
in a transaction that is rolled back. The server itself tells which tables such a transaction holds
a lock on under which it can write, and whether it has written to the catalog: whatever changes
either does so. All else is what it was. A run that verifies its own database keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from nexus_reimport.nexus.connection.postgres import Connection, scalar, statement

T = TypeVar("T")
CATALOG = "the catalog"


class KeptReadings:
    """What was read first, when nothing was changed yet; ``begin`` comes with each transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept: dict[str, Any] = {}
        self._names = dict(connection.execute(statement("relation_names")).fetchall())
        self._counted: int | None = None
        self._changed: frozenset[str] = frozenset()

    def begin(self) -> None:
        """A transaction has begun, and nothing was changed in it yet."""
        self._counted = self._catalog_writes()
        self._changed = frozenset()

    def look(self) -> None:
        """Ask the server what the transaction may have changed until now."""
        changed = set()
        for relation, root, name in self._connection.execute(statement("locked_relations")):
            changed |= {name, self._names.get(relation, ""), self._names.get(root, "")}
        counted = self._catalog_writes()
        if counted is None or counted != self._counted:
            changed.add(CATALOG)
        self._changed = frozenset(filter(None, changed))

    def of(self, what: str, tables: Collection[str], read: Callable[[], T]) -> T:
        """What ``read`` gives; it is asked where one of ``tables`` may be another than at first.

        ``tables`` are named with their schemas; ``CATALOG`` stands for all definitions.
        """
        if not self._changed.isdisjoint(tables):
            return read()
        if what not in self._kept:
            self._kept[what] = read()
        kept: T = self._kept[what]
        return kept

    def _catalog_writes(self) -> int | None:
        writes = scalar(self._connection, statement("catalog_writes"))
        return None if writes is None else int(writes)
