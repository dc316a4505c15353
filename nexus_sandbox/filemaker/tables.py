"""The tables that the simulator serves, by every interface the same ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from nexus_sandbox.filemaker import format as fmt
from nexus_sandbox.filemaker.file import FileTable, Record
from nexus_sandbox.filemaker.message import Refusal

Order = tuple[tuple[str, bool], ...]
"""Names of fields, each with whether it descends."""


class Tables:
    """Tables by name. A layout stands on each, those of ``only_odata`` aside."""

    def __init__(self, tables: Iterable[FileTable], only_odata: Collection[str] = ()) -> None:
        self.tables = {table.name: table for table in tables}
        self.only_odata = frozenset(only_odata)
        self._sorted: dict[tuple[str, Order], list[Record]] = {}

    @property
    def layouts(self) -> dict[str, FileTable]:
        """What the Data API may read."""
        return {name: table for name, table in self.tables.items() if name not in self.only_odata}

    def all(self, table: FileTable, order: Order) -> list[Record]:
        """Every record of ``table`` in ``order``. Kept between pages, until an edit."""
        key = table.name, order
        if key not in self._sorted:
            self._sorted[key] = ordered(table, table.records, order)
        return self._sorted[key]

    def forget(self) -> None:
        """A table was edited."""
        self._sorted.clear()


def ordered(table: FileTable, records: Iterable[Record], order: Order) -> list[Record]:
    """``records`` in ``order``.

    Raises:
        Refusal: there is no such field.
    """
    fields = {name: field for field in table.fields for name in field.names}
    result = list(records)
    # The last field first: sorting keeps the order of what is equal.
    for name, descends in reversed(order):
        if name not in fields:
            raise Refusal(102)
        keys = {
            id(record): fmt.order(record.values.get(name, ""), fields[name]) for record in result
        }
        result.sort(key=lambda record, keys=keys: keys[id(record)], reverse=descends)  # type: ignore[misc]
    return result
