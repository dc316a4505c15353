"""The rows of an exported file, read by the types that the mapping expects of its columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from nexus_reimport.errors import MappingError, SourceError
from nexus_reimport.source import near
from nexus_reimport.source.exports.cells import Forms, Refused, as_text
from nexus_reimport.source.exports.grid import Grid

_FEW = 5


@dataclass(frozen=True, slots=True)
class Row:
    """The wanted values of one line; None where one could not be computed."""

    line: int
    texts: tuple[str | None, ...]


def rows(grid: Grid, types: Mapping[str, str], forms: Forms, where: str) -> Iterator[Row]:
    """Every row with the columns of ``types``, in the order of the file.

    Raises:
        MappingError: there is no such column.
        SettingsError: a date is written as text, and its form is not declared.
        SourceError: a date where none is expected, or a text that may have been cut.
    """
    columns = [(name, _place(grid, name, where), kind) for name, kind in types.items()]
    for line in grid.rows:
        texts = []
        for name, place, kind in columns:
            try:
                texts.append(as_text(line.cells[place], kind, forms))
            except Refused as refused:
                raise refused.error(
                    f"line {line.number:,}, column {name}: {refused.what}",
                    where=where,
                    next=refused.next,
                ) from None
        yield Row(line.number, tuple(texts))


def in_order(found: Iterable[Row], key_of: Callable[[Row], str], where: str) -> list[Row]:
    """``found`` in the order of the key that ``key_of`` gives, ``""`` where there is none.

    Raises:
        SourceError: a row has no key, or one that came before; keys compare as ids do, without
            regard to case.
    """
    keyed = [(key_of(row), row) for row in found]
    _refuse([row.line for key, row in keyed if not key], "rows hold values and no key", where)
    _refuse(_repeated(keyed), "rows have a key that came before", where)
    return [row for _, row in sorted(keyed, key=lambda pair: (pair[0].casefold(), pair[0]))]


def _place(grid: Grid, name: str, where: str) -> int:
    place = grid.places.get(name)
    if place is None:
        raise MappingError(
            f"the file has no column {name}; {near.told(name, grid.places)}",
            where=where,
            next="export the field too, or give its name in the mapping",
        )
    return place


def _repeated(keyed: Iterable[tuple[str, Row]]) -> list[int]:
    """The lines whose key an earlier line has."""
    seen: set[str] = set()
    lines = []
    for key, row in keyed:
        if key.casefold() in seen:
            lines.append(row.line)
        seen.add(key.casefold())
    return lines


def _refuse(lines: Sequence[int], what: str, where: str) -> None:
    if lines:
        named = ", ".join(f"{line:,}" for line in islice(lines, _FEW))
        more = " and others" if len(lines) > _FEW else ""
        raise SourceError(
            f"{len(lines):,} {what}: lines {named}{more}",
            where=where,
            next="mend the records in FileMaker, and export the table again",
        )
