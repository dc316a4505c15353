"""The rows of an exported file, read by the types that the mapping expects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nexus_reimport import ids, wording
from nexus_reimport.errors import MappingError, SourceError
from nexus_reimport.filemaker import suggest
from nexus_reimport.filemaker.exports.cells import Forms, Refused, as_id, as_text
from nexus_reimport.filemaker.exports.columns import refuse_contradictions, refuse_rounded_ids
from nexus_reimport.filemaker.exports.grid import Grid
from nexus_reimport.ids import Id


@dataclass(frozen=True, slots=True)
class Row:
    """The wanted values of one line; None where one could not be computed."""

    line: int
    texts: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """How the columns of one file are read: which, as which type, and which of them hold ids."""

    types: Mapping[str, str]
    forms: Forms
    ids: Collection[str] = ()


def rows(grid: Grid, how: Reading, where: str) -> Iterator[Row]:
    """Every row with the columns of ``how``, in the order of the file.

    Raises:
        MappingError: there is no such column.
        SettingsError: dates are written as text, and their form is not declared, or declared
            wrongly.
        SourceError: two columns have this name; a related field has several values; a date where
            none is expected; a key that lost digits; a text that may have been cut.
    """
    columns = [
        (name, _place(grid, name, where), kind, as_id if name in how.ids else as_text)
        for name, kind in how.types.items()
    ]
    places = {name: (place, kind) for name, place, kind, _ in columns}
    refuse_contradictions(grid, places, how.forms, where)
    ids = {name: place for name, place, _, _ in columns if name in how.ids}
    refuse_rounded_ids(grid, ids, where)
    for line in grid.rows:
        texts = []
        for name, place, kind, read in columns:
            try:
                texts.append(read(line.cells[place], kind, how.forms.of(name)))
            except Refused as refused:
                raise refused.error(
                    f"line {line.number:,}, column {name}: {refused.what}",
                    where=where,
                    next=refused.next,
                ) from None
        yield Row(line.number, tuple(texts))


def in_order(parsed: Iterable[Row], key_of: Callable[[Row], str], where: str) -> list[Row]:
    """The rows in the order of the key that ``key_of`` gives, ``""`` for none.

    Raises:
        SourceError: a row has no key, or the key of an earlier row; keys compare as ids do, without
            regard to case.
    """
    keyed = [(ids.of(key_of(row)), row) for row in parsed]
    _refuse([row.line for key, row in keyed if not key], "rows have values but no key", where)
    again, spelt_otherwise = _repeated(keyed)
    hint = ""
    if spelt_otherwise:
        hint = (
            f" (the keys in lines {_few(spelt_otherwise)} differ only in case or spelling, and"
            " FileMaker's relationships treat such keys as equal)"
        )
    _refuse(again, "rows have the key of an earlier row", where, hint)
    return [row for _, row in sorted(keyed, key=_by_key)]


def _by_key(keyed: tuple[Id, Row]) -> tuple[str, str]:
    key, _ = keyed
    return key.compared, key.written


def _place(grid: Grid, name: str, where: str) -> int:
    places = [place for place, column in enumerate(grid.columns) if column == name]
    if not places:
        raise MappingError(
            f"the file has no column {name}; {suggest.phrase(name, filter(None, grid.columns))}",
            where=where,
            next="export this field too, or correct its name in the mapping",
        )
    if len(places) > 1:
        numbers = " and ".join(f"{place + 1:,}" for place in places)
        raise SourceError(
            f"columns {numbers} are both called {name}, which the mapping reads",
            where=where,
            next="export this field only once",
        )
    further = [line.number for line in grid.further if line.cells[places[0]] not in (None, "")]
    if further:
        raise SourceError(
            f"{name} is a related field with several values for one record: lines {_few(further)}"
            " hold the others",
            where=where,
            next="export the related table itself, and map it as its own source",
        )
    return places[0]


def _repeated(keyed: Iterable[tuple[Id, Row]]) -> tuple[list[int], list[int]]:
    """The lines whose key an earlier line has, and those of them that spell it differently."""
    first: dict[Id, str] = {}
    again, spelt_otherwise = [], []
    for key, row in keyed:
        if key not in first:
            first[key] = key.written
            continue
        again.append(row.line)
        if first[key] != key.written:
            spelt_otherwise.append(row.line)
    return again, spelt_otherwise


def _refuse(lines: Sequence[int], what: str, where: str, hint: str = "") -> None:
    if lines:
        raise SourceError(
            f"{len(lines):,} {what}: lines {_few(lines)}",
            where=where,
            next=f"fix the records in FileMaker{hint}, and export the table again",
        )


def _few(lines: Sequence[int]) -> str:
    return wording.some(f"{line:,}" for line in lines)
